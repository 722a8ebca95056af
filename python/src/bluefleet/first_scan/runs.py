"""Runs as Tiled's HTTP API gives them, as far as a first scan needs them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from bluefleet.first_scan.errors import StageFailed

POLL = 0.5
STAGE = "read the run back"
# The SQL catalogue; its neighbour `mongo` holds the same runs as the Mongo sink stored them.
TREE = "runs"


@dataclass(frozen=True)
class StoredRun:
    """A run that is stored to its end: its documents' metadata and the columns of its primary stream."""

    start: dict[str, Any]
    stop: dict[str, Any]
    columns: dict[str, list[float]]


class Runs:
    """The runs of one site."""

    def __init__(self, client: httpx.Client, host: str) -> None:
        self._client = client
        self._host = host

    def wait_for(self, uid: str, deadline: float, tell: Callable[[str], None]) -> StoredRun:
        """Return the run as soon as its stop document is stored. Raises StageFailed."""
        end = time.monotonic() + deadline
        while True:
            run = self._ask(f"metadata/{TREE}/{uid}")
            metadata: dict[str, Any] = run["data"]["attributes"]["metadata"] if run else {}
            if metadata.get("stop"):
                columns = self._ask(f"table/full/{TREE}/{uid}/primary/internal?format=json")
                if columns:
                    return StoredRun(metadata["start"], metadata["stop"], columns)
            if time.monotonic() > end:
                what = "is not there" if not run else "has no end yet" if not metadata.get("stop") else "has no events"
                raise self._failed(f"run {uid} {what} after {deadline:g} s", service="tiled-sink")
            tell("stored, not finished" if run else "not stored yet")
            time.sleep(POLL)

    def _ask(self, path: str) -> dict[str, Any] | None:
        """Tiled's answer, or nothing when it isn't there."""
        try:
            answer = self._client.get(f"/tiled/api/v1/{path}")
        except httpx.HTTPError as error:
            what = f"{self._client.base_url}: {error or type(error).__name__}"
            raise self._failed(what, service="edge tiled") from error
        if answer.status_code == 404:
            return None
        if not answer.is_success:
            raise self._failed(f"{path} answered {answer.status_code}: {answer.text[:200]}", service="tiled")
        try:
            content: dict[str, Any] = answer.json()
        except ValueError as error:
            raise self._failed(f"{path} answered what is not JSON: {answer.text[:200]}", service="tiled") from error
        return content

    def _failed(self, what: str, service: str) -> StageFailed:
        return StageFailed(what, stage=STAGE, host=self._host, pod="data", service=service)
