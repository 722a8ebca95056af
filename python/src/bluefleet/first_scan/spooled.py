"""How far a scan is: what the forwarder says of the last run in the spool. For a progress bar, so never an error."""

from __future__ import annotations

from typing import Any

import httpx


def spooled_events(client: httpx.Client) -> int | None:
    """Events of the run that is open now, as far as they are spooled; nothing when the forwarder doesn't say."""
    try:
        answer = client.get("/documents/runs/-1", timeout=2)
    except httpx.HTTPError:
        return None
    if not answer.is_success:
        return None
    run: dict[str, Any] = answer.json()
    if run.get("stop") is not None:
        return None
    primary: dict[str, Any] = run.get("streams", {}).get("primary", {})
    return primary.get("events")
