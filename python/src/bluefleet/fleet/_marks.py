"""enable, disable, cordon, simulate and clear: overrides that change what is desired, and touch no container."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bluefleet.fleet._call import Call, each_node, recorded
from bluefleet.fleet._operate import operation_report
from bluefleet.fleet._overrides import OVERRIDE_KINDS, Override, OverrideKind, Overrides, put, remove
from bluefleet.fleet._refused_devices import write_refused
from bluefleet.fleet._report import NodeResult, OperationReport
from bluefleet.fleet._selection import Chosen, Selection
from bluefleet.fleet._settings import Settings
from bluefleet.fleet._state import State
from bluefleet.fleet._troubles import forget
from bluefleet.model import Site

# What is to be put, and what is to be taken away, on one node.
_Change = tuple[list[Override], list[Override]]


async def disable(site: Site, settings: Settings, selection: Selection, call: Call) -> OperationReport:
    """Take it out of use: plans are refused its devices, `apply` and `start` leave it alone, its troubles don't count.

    What runs goes on. A whole node is disabled as one, with what is declared on it later. Raises StateUnusable.
    """
    done = await _mark(site, settings, selection, call, lambda chosen, now: _putting("disabled", chosen, now, call))
    worker = site.pods.acquisition.host if site.pods.acquisition is not None else ""
    if not worker or "manager" in site.hosts[worker].groups:
        return done
    # The file of refused devices is the manager's.
    deaf = NodeResult(
        name=worker,
        error="its worker does not hear of what is disabled: plans can still use these devices",
        remedy="`bluefleet stop` takes their instances away from plans, too",
    )
    return done.model_copy(update={"ok": False, "nodes": [*done.nodes, deaf]})


async def cordon(site: Site, settings: Settings, selection: Selection, call: Call) -> OperationReport:
    """Keep it as it is: `apply` leaves it alone; plans may use it, and start, stop and restart work. Raises StateUnusable."""
    return await _mark(site, settings, selection, call, lambda chosen, now: _putting("cordoned", chosen, now, call))


async def simulate(site: Site, settings: Settings, selection: Selection, call: Call) -> OperationReport:
    """Let the declared twins of the chosen instances stand in for them, from the next `apply` on. Raises StateUnusable.

    Instances without a twin are told in the report and are not marked; a node is never marked as a whole.
    """

    def change(chosen: Chosen, now: Overrides) -> _Change:
        with_twin = tuple(instance for instance in chosen.instances if instance.simulated is not None)
        return _putting("simulated", replace(chosen, instances=with_twin, whole=False), now, call)

    return await _mark(site, settings, selection, call, change)


async def enable(site: Site, settings: Settings, selection: Selection, call: Call) -> OperationReport:
    """Put into use again what was disabled. Raises StateUnusable."""
    return await _mark(
        site, settings, selection, call, lambda chosen, now: _taking(["disabled"], chosen, now), kinds=["disabled"]
    )


async def clear(
    site: Site,
    settings: Settings,
    selection: Selection,
    call: Call,
    *,
    kinds: Sequence[OverrideKind] = OVERRIDE_KINDS,
    gone: Sequence[Override] = (),
) -> OperationReport:
    """Take overrides away, of these kinds; `apply` makes what is declared true again. Raises StateUnusable.

    `gone` are those to take away, too, of what the site no longer declares.
    """
    of_kinds = [one for one in gone if one.kind in kinds]
    return await _mark(
        site,
        settings,
        selection,
        call,
        lambda chosen, now: _taking(kinds, chosen, now),
        kinds=kinds,
        gone=of_kinds,
    )


async def _mark(
    site: Site,
    settings: Settings,
    selection: Selection,
    call: Call,
    change: Callable[[Chosen, Overrides], _Change],
    *,
    kinds: Sequence[OverrideKind] = (),
    gone: Sequence[Override] = (),
) -> OperationReport:
    state = State(settings.state_file)
    put_: list[Override] = []
    taken_ = [*gone]

    async def work(chosen: Chosen) -> NodeResult:
        added, taken = change(chosen, Overrides.now(state))
        if not call.dry_run:
            put(state, added)
            remove(state, taken)
            # At once: other nodes may be waited for, and the wait may be ended.
            write_refused(site, settings)
        if call.verb == "clear" and not call.dry_run:
            forget(state, chosen.node.name, (instance.name for instance in chosen.instances))
        put_.extend(added)
        taken_.extend(one for one in taken if one not in gone)
        return NodeResult(name=chosen.node.name, error=_still(call.verb, chosen, Overrides.now(state), kinds))

    with recorded(settings, call, [*selection.names, *dict.fromkeys(one.place for one in gone)]) as record:
        # Nobody works on what is not declared: its overrides need no lock.
        if not call.dry_run:
            remove(state, gone)
        try:
            results = await each_node(selection, settings, call, work, record)
        finally:
            record.detail += [f"{one.place}: {one.kind}" for one in put_]
            record.detail += [f"{one.place}: no longer {one.words}" for one in taken_]
    changed = [*put_, *taken_]
    report = operation_report(site, call, results)
    return report.model_copy(update={"changed": bool(changed), "overrides": changed})


def _putting(kind: OverrideKind, chosen: Chosen, now: Overrides, call: Call) -> _Change:
    names = [""] if chosen.whole else [instance.name for instance in chosen.instances]
    there = {one.instance for one in now.all if one.node == chosen.node.name and one.kind == kind}
    added = [
        Override(node=chosen.node.name, instance=name, kind=kind, who=call.who, reason=call.reason)
        for name in names
        if name not in there
    ]
    return added, []


def _taking(kinds: Sequence[OverrideKind], chosen: Chosen, now: Overrides) -> _Change:
    """Of a whole node all that is on it, its instances' too, also of those that are not declared any more."""
    names = {instance.name for instance in chosen.instances}
    return [], [
        one
        for one in now.all
        if one.node == chosen.node.name and one.kind in kinds and (chosen.whole or one.instance in names)
    ]


def _still(verb: str, chosen: Chosen, now: Overrides, kinds: Sequence[OverrideKind]) -> str:
    """Why what was asked for is not so: an instance of a node that is disabled as a whole, or one without a twin."""
    if verb == "simulate":
        without = [instance.name for instance in chosen.instances if instance.simulated is None]
        return f"no twin is declared for {', '.join(without)}" if without else ""
    node = next((one for one in now.of_node(chosen.node.name) if one.kind in kinds), None)
    if chosen.whole or node is None:
        return ""
    what = "puts it into use" if verb == "enable" else "takes that away"
    return f"the whole node is {node.words}; `bluefleet {verb} {chosen.node.name}/` {what}"
