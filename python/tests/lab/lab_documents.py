"""The document path of the laboratory, asked from outside: what a run holds where, and whether it is the same everywhere."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
from lab_door import ADDRESSES, LAB, bluefleet, on, trust
from lab_runs import tiled

from patience import PATIENCE, ends_in

KEYS = {"manager": "queue_api_key", "data": "tiled_api_key"}


def held(host: str, path: str) -> dict[str, Any]:
    """What a service at the edge of a host says, such as `documents/runs/UID` or `sinks/tiled/runs/UID`."""
    key = (LAB / ".state/secrets" / KEYS[host]).read_text(encoding="utf-8").strip()
    answer = httpx.get(
        f"https://{ADDRESSES[host]}/{path}",
        headers={"Authorization": f"ApiKey {key}"},
        verify=trust(),
        trust_env=False,
        timeout=60 * PATIENCE,
    )
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def events(run: str, host: str = "manager", path: str = "documents/runs") -> int:
    """How many events of a run are in the spool, or elsewhere."""
    streams = held(host, f"{path}/{run}")["streams"]
    return int(streams["primary"]["events"]) if streams else 0


def until(condition: Callable[[], Any], what: str, seconds: float = 120, every: float = 0.5) -> Any:
    """The condition's first true value; a service that does not answer meanwhile is no failure yet."""
    end = ends_in(seconds)
    last: object = ""
    while time.monotonic() < end:
        try:
            if found := condition():
                return found
        except (httpx.HTTPError, AssertionError) as error:
            last = error
        time.sleep(every)
    raise AssertionError(f"{what}: not within {seconds * PATIENCE:g} s ({last})")


def healthy(host: str) -> bool:
    """Whether every container of the host's pod runs and says that it is well."""
    states = on(
        host, "docker ps --all --filter label=org.bluefleet.pod --format '{{.Status}}'", check=False
    ).splitlines()
    return bool(states) and all("(healthy)" in state for state in states)


def all_flows() -> bool:
    """Whether the backlog names nothing that is wrong."""
    return bluefleet("documents", "backlog").returncode == 0


def verified(run: str, wait: float = 90) -> dict[str, Any]:
    """The verdict on a run that is equal in spool, Kafka, Mongo and Tiled."""
    done = bluefleet("documents", "verify", run, "--json", "--wait", str(wait))
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    verdict: dict[str, Any] = json.loads(done.stdout)
    assert verdict["equal"]
    return verdict


def assert_each_event_is_there_once_and_in_order(run: str) -> int:
    """In all four places, as many as the run's stop document says; returns how many."""
    verdict = verified(run)
    with tiled() as client:
        stop = client.get(f"metadata/runs/{run}").json()["data"]["attributes"]["metadata"]["stop"]
        count = int(stop["num_events"]["primary"])
        rows = client.get(f"table/full/runs/{run}/primary/internal", params={"format": "json", "column": "seq_num"})
    for place in ("spool", "kafka", "mongo", "tiled"):
        stream = verdict["places"][place]["streams"]["primary"]
        assert (stream["events"], stream["seq_nums"], stream["doubled"]) == (count, f"1-{count}", []), place
    assert rows.json()["seq_num"] == list(range(1, count + 1))
    return count
