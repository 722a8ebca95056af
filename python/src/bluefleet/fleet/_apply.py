"""Make actual equal desired: all nodes at once, each step with its result, a sick node in nobody's way."""

import asyncio

from bluefleet.engine import Engine
from bluefleet.fleet._call import Call, Progress, each_node, recorded
from bluefleet.fleet._desired import by_name, desired, held_steps, steps_for
from bluefleet.fleet._devices import sync
from bluefleet.fleet._guard import Guard
from bluefleet.fleet._history import caller
from bluefleet.fleet._overrides import Overrides
from bluefleet.fleet._refused_devices import write_refused
from bluefleet.fleet._render import endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import ApplyReport, NodeResult
from bluefleet.fleet._selection import Chosen, Selection, select
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._steps import Steps, result
from bluefleet.fleet._troubles import forget
from bluefleet.model import Site


async def apply(
    site: Site,
    settings: Settings,
    *,
    check: bool,
    interrupt_runs: bool,
    progress: Progress,
    chosen: Selection | None = None,
    force: bool = False,
    who: str = "",
    wait: float = 10.0,
    deadline: float = 1800.0,
) -> ApplyReport:
    """Apply the desired state (of what was `chosen`, else of all), or with `check` say what that would do.

    What goes wrong on a node is in the report and stops no other node. Devices are always those of the whole site.
    Raises StateUnusable.
    """
    call = Call(
        "apply",
        who=who or caller(),
        wait=wait,
        deadline=deadline,
        dry_run=check,
        interrupt_runs=interrupt_runs,
        progress=progress,
    )
    selection = chosen or select(site)
    guard = Guard(site, settings, permitted=interrupt_runs)

    async def work(one: Chosen) -> NodeResult:
        return await _on_node(site, settings, guard, call, one, force=force)

    with recorded(settings, call, selection.names, force=force) as record:
        results = await each_node(selection, settings, call, work, record)
        if not check:
            write_refused(site, settings)
        devices = await asyncio.to_thread(sync, site, settings, check=check)
    # What a plan would refuse now differs all the same.
    counts = {"planned", "refused"} if check else {"done"}
    changed = devices.changed or any(step.outcome in counts for node in results for step in node.steps)
    ok = all(node.ok for node in results)
    return ApplyReport(site=site.site, check=check, ok=ok, changed=changed, nodes=results, devices=devices)


async def _on_node(
    site: Site, settings: Settings, guard: Guard, call: Call, chosen: Chosen, *, force: bool
) -> NodeResult:
    node = chosen.node
    # Only now: the one who held the lock before may have changed them.
    overrides = Overrides.now(State(settings.state_file))
    disabled = overrides.first(node.name, "", "disabled")
    if disabled is not None:
        # It may be in pieces on a bench: that it does not answer must not fail everybody's converge.
        return NodeResult(name=node.name, left=disabled.words)
    wanted = desired(site, node, overrides)
    async with Engine(endpoint(node, settings)) as engine:
        seen = await engine.observe(labels_of(site, node))
        steps = steps_for(chosen, wanted, seen.containers, overrides, force=force)
        held = [result(step, "held", why) for step, why in held_steps(chosen, wanted, seen.containers, force=force)]
        if force and not call.dry_run:
            forget(State(settings.state_file), node.name, (instance.name for instance in chosen.instances))
        doing = Steps(site, node, settings, guard=guard, call=call, instances=by_name(wanted))
        done = await (doing.foresee(steps) if call.dry_run else doing.do(engine, steps))
        return NodeResult(name=node.name, steps=[*held, *done])
