"""The verbs of the service: those of the command line, done by the same library."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from fastapi import APIRouter

from bluefleet.fleet import (
    ApplyReport,
    Call,
    OperationReport,
    OperationVerb,
    Selection,
    Settings,
    apply,
    clear,
    cordon,
    disable,
    enable,
    in_own_loop,
    operate,
    simulate,
)
from bluefleet.model import Site
from bluefleet.service._asked import Asked, AskedApply, AskedClear, AskedDisable, AskedOperation, AskedStart
from bluefleet.service._parts import Described, chosen_of
from bluefleet.service._refusals import Refused

_T = TypeVar("_T")


def add_verbs(router: APIRouter, api: Described) -> None:
    """Add them. An answer comes when it is done; `ok` in it says whether all of it was."""
    do = _Verbs(api)

    @router.post("/start")
    async def post_start(asked: AskedStart) -> OperationReport:
        """Start instances as they should be now; ends what `stop` said, and what the service gave up."""
        return await do.operate("start", asked, interrupt_runs=False)

    @router.post("/stop")
    async def post_stop(asked: AskedOperation) -> OperationReport:
        """Stop instances; they stay stopped until `start` or `clear`."""
        return await do.operate("stop", asked, interrupt_runs=asked.interrupt_runs)

    @router.post("/restart")
    async def post_restart(asked: AskedOperation) -> OperationReport:
        """Stop instances and start the same containers again."""
        return await do.operate("restart", asked, interrupt_runs=asked.interrupt_runs)

    @router.post("/kill")
    async def post_kill(asked: AskedOperation) -> OperationReport:
        """End instances at once; they stay stopped, too."""
        return await do.operate("kill", asked, interrupt_runs=asked.interrupt_runs)

    @router.post("/enable")
    async def post_enable(asked: Asked) -> OperationReport:
        """Put into use again what was disabled."""
        return await do.mark("enable", asked, enable)

    @router.post("/disable")
    async def post_disable(asked: AskedDisable) -> OperationReport:
        """Take nodes or instances out of use: plans are refused their devices."""
        return await do.mark("disable", asked, disable)

    @router.post("/cordon")
    async def post_cordon(asked: Asked) -> OperationReport:
        """Keep nodes or instances as they are: apply, and this service, leave them alone."""
        return await do.mark("cordon", asked, cordon)

    @router.post("/simulate")
    async def post_simulate(asked: Asked) -> OperationReport:
        """Let declared twins stand in for instances, from the next `apply` on."""
        return await do.mark("simulate", asked, simulate)

    @router.post("/clear")
    async def post_clear(asked: AskedClear) -> OperationReport:
        """Take overrides away."""
        return await do.mark("clear", asked, partial(clear, kinds=asked.kinds))

    @router.post("/apply")
    async def post_apply(asked: AskedApply) -> ApplyReport:
        """Make what runs equal to what is desired; with `dry_run` answer what that would do."""
        site, settings = api.parts.keeper.site, api.parts.settings
        chosen = chosen_of(site, asked.targets, asked.categories)
        call = _call("apply", asked)
        work = partial(
            apply,
            site,
            settings,
            check=asked.dry_run,
            interrupt_runs=asked.interrupt_runs,
            progress=call.progress,
            chosen=chosen,
            force=asked.force,
            who=call.who,
            wait=asked.wait,
            deadline=asked.deadline,
        )
        return await do.done(work, chosen)


class _Verbs:
    def __init__(self, api: Described) -> None:
        self._api = api

    async def operate(self, verb: OperationVerb, asked: Asked, *, interrupt_runs: bool) -> OperationReport:
        site, settings = self._api.parts.keeper.site, self._api.parts.settings
        chosen = _some(site, asked)
        call = _call(verb, asked, interrupt_runs=interrupt_runs)
        return await self.done(partial(operate, site, settings, verb, chosen, call), chosen)

    async def mark(
        self,
        verb: str,
        asked: Asked,
        mark: Callable[[Site, Settings, Selection, Call], Coroutine[Any, Any, OperationReport]],
    ) -> OperationReport:
        site, settings = self._api.parts.keeper.site, self._api.parts.settings
        chosen = _some(site, asked)
        return await self.done(partial(mark, site, settings, chosen, _call(verb, asked)), chosen)

    async def done(self, work: Callable[[], Coroutine[Any, Any, _T]], chosen: Selection) -> _T:
        try:
            return await in_own_loop(work)
        finally:
            self._api.parts.keeper.wake(one.node.name for one in chosen)


def _call(verb: str, asked: Asked, *, interrupt_runs: bool = False) -> Call:
    return Call(
        verb,
        who=f"{asked.who} (over HTTP)",
        wait=asked.wait,
        deadline=asked.deadline,
        dry_run=asked.dry_run,
        interrupt_runs=interrupt_runs,
        reason=asked.reason,
    )


def _some(site: Site, asked: Asked) -> Selection:
    if not asked.targets and not asked.categories and not asked.all:
        raise Refused(422, "nothing is chosen", "body", "Name targets or categories, or say `all`: true")
    if asked.targets and asked.all:
        raise Refused(422, "`all` and targets contradict each other", "body", "Leave one of them out")
    return chosen_of(site, asked.targets, asked.categories)
