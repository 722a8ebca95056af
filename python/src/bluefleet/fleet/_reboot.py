"""Reboot nodes, softly or by their power, and wait until their engines are back; never under a plan that uses them."""

import asyncio
from dataclasses import dataclass

from bluefleet.engine import Container, Deadlines, Engine, EngineError
from bluefleet.fleet._call import Call, each_node, recorded
from bluefleet.fleet._guard import Guard, Refused
from bluefleet.fleet._operate import operation_report
from bluefleet.fleet._plan import instance_of
from bluefleet.fleet._power import PowerFailed, cycle
from bluefleet.fleet._render import endpoint
from bluefleet.fleet._render import selection as labels_of
from bluefleet.fleet._report import NodeResult, OperationReport
from bluefleet.fleet._selection import Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._soft import Soft, SoftFailed
from bluefleet.model import Node, Site

# Seconds: an engine that is there answers sooner, and a node that is away takes longer to be back.
_ANSWER = 2.0
# For one that did not: it may only be slow, and what it was before is what it is compared with.
_SLOW_ANSWER = 10.0
_LOOK_AGAIN = 0.5
# A node that was told to reboot and still answers after that long did not listen.
_GOES_DOWN = 60.0
# What looks, questions to the queue and ssh may take before a node is waited for.
_BEFORE = 100.0
# The least that is allowed for all that holds it up, beside the wait for the node, which has words of its own.
_HELD_UP = 300.0


@dataclass(frozen=True, slots=True)
class _Before:
    """The node before: the word for its engine's start (none: it did not answer), and what of the site's ran there."""

    started: str | None
    containers: tuple[Container, ...] = ()


async def reboot(
    site: Site, settings: Settings, selection: Selection, call: Call, *, soft: Soft | None = None
) -> OperationReport:
    """Reboot the chosen nodes at once: with `soft` they are told to, without they lose their power.

    Each has `call.deadline` seconds to be back. What goes wrong on a node is in the report. Raises StateUnusable.
    """
    guard = Guard(site, settings, permitted=call.interrupt_runs)

    async def work(node: Node) -> NodeResult:
        never = _never(site, node, hard=soft is None)
        if never is not None:
            return never
        before = await _look(site, node, settings)
        if soft is not None and before.started is None:
            before = await _look(site, node, settings, within=_SLOW_ANSWER)
        try:
            await _allow(site, guard, node, before)
            how = "its power is cut and given back" if soft is None else "it is told to reboot"
            if call.dry_run:
                return NodeResult(name=node.name, done=f"would reboot: {how}")
            call.tell(f"{node.name}: reboot: {how}")
            if soft is not None:
                await soft(node)
            elif node.power is not None:
                await cycle(node, node.power, settings)
        except Refused as error:
            return NodeResult(name=node.name, error=f"refused: {error}")
        except SoftFailed as error:
            return NodeResult(
                name=node.name,
                error=str(error),
                remedy=f"Is it on, and was site.yml run? `bluefleet reboot --hard {node.name}` cuts power",
            )
        except PowerFailed as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # Nobody will see the report.
                call.tell(f"{node.name}: {error}. {error.remedy}")
            return NodeResult(name=node.name, error=str(error), remedy=error.remedy)
        # What lost its power and answers was started anew; what was told goes down first.
        gone = soft is None and before.started is None
        return await _back(site, node, settings, before.started, call.deadline, gone=gone)

    with recorded(settings, call, selection.names, hard=soft is None) as record:
        patient = Call(
            call.verb,
            who=call.who,
            wait=call.wait,
            deadline=call.deadline + _held_up(site),
            dry_run=call.dry_run,
            progress=call.progress,
        )
        results = await each_node(selection, settings, patient, lambda chosen: work(chosen.node), record)
    report = operation_report(site, call, results)
    return report.model_copy(update={"changed": any(node.done for node in results)})


def _never(site: Site, node: Node, *, hard: bool) -> NodeResult | None:
    if is_manager(site, node):
        # Without power it would not say `on` any more, and who waits here would be gone.
        return NodeResult(
            name=node.name,
            error="it is the manager itself, which would not see it come back",
            remedy=f"Reboot {node.name} by hand",
        )
    if hard and node.power is None:
        return NodeResult(
            name=node.name,
            error="no power driver is declared for it",
            remedy=f"Declare node_power for {node.name} in the inventory, or leave --hard out",
        )
    return None


def is_manager(site: Site, node: Node) -> bool:
    """Whether it is the host that reboots the others."""
    host = site.hosts.get(node.name)
    return host is not None and "manager" in host.groups


def reboot_ends_within(site: Site, call: Call) -> float:
    """Seconds after which `reboot` has ended, with words about each node."""
    return call.wait + call.deadline + _held_up(site)


def _held_up(site: Site) -> float:
    switching = (2 * node.power.timeout_seconds + node.power.off_seconds for node in site.nodes if node.power)
    return max(_HELD_UP, _BEFORE + max(switching, default=0.0))


async def _look(site: Site, node: Node, settings: Settings, *, within: float = _ANSWER) -> _Before:
    try:
        async with Engine(endpoint(node, settings), Deadlines(connect=within, answer=within)) as engine:
            started = await engine.started()
            return _Before(started, (await engine.observe(labels_of(site, node))).containers)
    except EngineError:
        # It may be why somebody reboots it.
        return _Before(None)


async def _allow(site: Site, guard: Guard, node: Node, before: _Before) -> None:
    """Raise Refused when a plan uses something on it, or may, or runs on it."""
    if site.pods.acquisition is not None and site.pods.acquisition.host == node.name:
        # Its worker ends with the host, whatever the plan uses.
        await guard.check(None)
    declared = {instance.name for instance in node.instances}
    for instance in node.instances:
        await guard.check(instance)
    for container in before.containers:
        if container.running and instance_of(container) not in declared:
            await guard.check(None)


async def _back(
    site: Site, node: Node, settings: Settings, before: str | None, deadline: float, *, gone: bool
) -> NodeResult:
    """Wait until the engine was started anew, and answers; `gone`: it is known to have been away already."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    why = ""
    while (waited := loop.time() - begin) < deadline:
        now = await _look(site, node, settings)
        if now.started is None:
            gone = True
        elif now.started != before if before and now.started else gone:
            running = sum(container.running for container in now.containers)
            return NodeResult(name=node.name, done=f"is back after {waited:.0f} s, {running} instances run")
        elif waited > _GOES_DOWN and not gone:
            why = f"it still answers after {waited:.0f} s and was not started anew"
            break
        else:
            # Who did not answer before, and has not been away since, is the one that has still to go down.
            before = before or now.started
        await asyncio.sleep(_LOOK_AGAIN)
    else:
        why = f"it is not back after {deadline:.0f} s"
    return NodeResult(
        name=node.name,
        error=why,
        remedy=f"Look at its console; `bluefleet status {node.name}` says when its engine answers",
    )
