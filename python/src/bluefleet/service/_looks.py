"""What can be asked of the service."""

import json
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from bluefleet.fleet import (
    DevicesReport,
    HistoryReport,
    Overrides,
    Selection,
    State,
    devices_report,
    history,
    in_own_loop,
    status,
)
from bluefleet.service._asked import FleetStatus, OverridesReport
from bluefleet.service._events import EVENT_KINDS, Event, Events
from bluefleet.service._parts import Described, chosen_of

# Seconds without an event after which a listener is sent a comment, so that no proxy takes the link for dead.
_IDLE = 15.0


def add_looks(router: APIRouter, api: Described) -> None:
    """What can be asked."""

    @router.get("/status")
    async def get_status(
        fresh: Annotated[bool, Query(description="Ask all engines now, and wait for their deadline")] = False,
    ) -> FleetStatus:
        """Nodes and instances, worst first: at once, as they were seen last, or with `fresh` as they are now."""
        keeper, settings = api.parts.keeper, api.parts.settings
        # Who has this answer misses nothing: what is told meanwhile comes after it.
        last = api.parts.events.last
        if fresh:
            found = await in_own_loop(lambda: status(keeper.site, settings, deadline=5.0))
        else:
            await keeper.first_looks()
            found = keeper.status()
        more = {"waiting": keeper.waiting(), "problems": keeper.problems, "last_event": last}
        return FleetStatus.model_validate({**found.model_dump(), **more})

    @router.get("/devices")
    def get_devices(deadline: Annotated[float, Query(gt=0, le=60)] = 5.0) -> DevicesReport:
        """Every declared device: where it is served, whether the worker knows it and plans may use it."""
        return devices_report(api.parts.keeper.site, api.parts.settings, deadline=deadline)

    @router.get("/history")
    def get_history(
        *,
        target: Annotated[list[str] | None, Query(description="Only about these")] = None,
        who: str = "",
        verb: str = "",
        since: Annotated[datetime | None, Query(description="ISO 8601; UTC when it names no zone")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> HistoryReport:
        """Who did what, when, and what came of it; the latest first."""
        site = api.parts.keeper.site
        chosen = chosen_of(site, target or [], []) if target else Selection((), named=False)
        entries = history.entries(
            State(api.parts.settings.state_file),
            nodes=[one.node.name for one in chosen if one.whole],
            targets=[name for one in chosen if not one.whole for name in one.names],
            who=who,
            verb=verb,
            since=since,
            limit=limit,
        )
        return HistoryReport(site=site.site, entries=entries)

    @router.get("/overrides")
    def get_overrides() -> OverridesReport:
        """What operators changed for a while."""
        now = Overrides.now(State(api.parts.settings.state_file))
        return OverridesReport(site=api.parts.keeper.site.site, overrides=list(now.all))

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    def get_metrics() -> Response:
        """For Prometheus."""
        return Response(api.parts.meters.text(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def get_events(
        last_event_id: Annotated[str | None, Header(description="Of the last event that was seen")] = None,
    ) -> StreamingResponse:
        """Server-sent events: `node`, `site`, `step`, `give-up`, `history`; after `reset` ask for /status anew."""
        words = _words(api.parts.events, last_event_id)
        return StreamingResponse(words, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _words(events: Events, after: str | None) -> AsyncGenerator[str, None]:
    # The first line goes out at once: who dialled knows that it is heard.
    yield f"retry: 2000\n: {', '.join(EVENT_KINDS)}\n\n"
    async for event in events.listen(after, idle=_IDLE):
        yield ": nothing happened\n\n" if event is None else _spelled(events, event)


def _spelled(events: Events, event: Event) -> str:
    data = json.dumps({"schema_version": 1, **event.data})
    return f"id: {events.identity(event.number)}\nevent: {event.kind}\ndata: {data}\n\n"
