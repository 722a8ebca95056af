"""A first scan against a queue and a Tiled that answer as the real ones do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bluefleet.first_scan import FirstScan, Pinhole, Readings, StageFailed
from bluefleet.first_scan import queue as queue_module
from bluefleet.first_scan import runs as runs_module
from bluefleet.first_scan.queue import Queue
from bluefleet.first_scan.runs import Runs
from bluefleet.first_scan.spooled import spooled_events
from site_stand_in import SiteStandIn as Site


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "POLL", 0.001)
    monkeypatch.setattr(queue_module, "STALE", 0.001)
    monkeypatch.setattr(runs_module, "POLL", 0.001)
    monkeypatch.setattr("bluefleet.first_scan.scan.STORED_DEADLINE", 0.05)


def first_scan(site: Site, subject: Pinhole | Readings | None = None) -> FirstScan:
    client = httpx.Client(base_url="https://site", transport=httpx.MockTransport(site.answer))
    return FirstScan(
        Queue(client, "manager"), Runs(client, "data"), lambda: None, ("manager", "data"), subject or Pinhole()
    )


def told(site: Site) -> list[str]:
    stages: list[str] = []
    first_scan(site).run(lambda stage, _: stages.append(stage))
    return stages


def test_the_run_is_read_back_and_its_centre_found() -> None:
    result = first_scan(Site(centre=0.1)).run(lambda *_: None)
    assert result.uid == "a run"
    assert result.fit.centre == pytest.approx(0.1, abs=1e-3)


def test_progress_names_every_stage() -> None:
    stages = " ".join(told(Site()))
    assert "wait for the queue" in stages
    assert "scan motor_ph" in stages


def test_a_centre_that_is_off_fails_on_the_data_host() -> None:
    with pytest.raises(StageFailed, match=r"centre is 2\.0.* 0 ± 0\.5") as caught:
        first_scan(Site(centre=2.0)).run(lambda *_: None)
    assert (caught.value.stage, caught.value.host) == ("find the centre", "data")


def test_a_failed_plan_names_its_reason_stage_host_and_log() -> None:
    site = Site()
    site.exit_status, site.message = "failed", "Plan failed: device pinhole is not available"
    with pytest.raises(StageFailed, match="device pinhole is not available") as caught:
        first_scan(site).run(lambda *_: None)
    assert caught.value.stage == "run scan"
    assert caught.value.host == "manager"
    assert caught.value.log == "docker compose -p acquisition logs re-manager"


def test_a_device_that_was_not_applied_is_named() -> None:
    site = Site()
    site.devices.remove("random_walk")
    with pytest.raises(StageFailed, match=r"random_walk.*bluefleet apply"):
        first_scan(site).run(lambda *_: None)


def test_an_environment_that_does_not_open_is_said() -> None:
    site = Site()
    site.opens = False
    with pytest.raises(StageFailed, match="did not open"):
        first_scan(site).run(lambda *_: None)


def test_a_run_that_is_not_stored_names_the_sink() -> None:
    site = Site()
    site.stored = None
    with pytest.raises(StageFailed, match="is not there") as caught:
        first_scan(site).run(lambda *_: None)
    assert caught.value.log == "docker compose -p data logs tiled-sink"


def test_what_others_have_queued_stays_and_is_not_started() -> None:
    site = Site()
    site.queue = [{"name": "count", "item_uid": "theirs", "meta": {}}]
    first_scan(site).run(lambda *_: None)
    assert [item["item_uid"] for item in site.queue] == ["theirs"]
    assert site.stopped_after


def test_what_an_earlier_first_scan_left_is_removed() -> None:
    site = Site()
    site.queue = [{"name": "scan", "item_uid": "old", "meta": {"first_scan": True, "first_scan_id": "an earlier one"}}]
    first_scan(site).run(lambda *_: None)
    assert site.queue == []
    assert not site.stopped_after


def test_the_progress_counts_events_of_an_open_run_only() -> None:
    digest: dict[str, Any] = {"stop": None, "streams": {"primary": {"events": 12}}}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=digest))
    client = httpx.Client(base_url="https://site", transport=transport)
    assert spooled_events(client) == 12
    digest["stop"] = "a hash"
    assert spooled_events(client) is None


def test_without_a_pinhole_what_is_simulated_is_read_and_read_back() -> None:
    site = Site()
    site.devices = ["level"]
    site.columns = {"seq_num": [1, 2, 3], "level": [0.5, 0.6, 0.7]}
    result = first_scan(site, Readings(("level",))).run(lambda *_: None)
    assert (result.fit, result.run.columns["level"]) == (None, [0.5, 0.6, 0.7])
    assert [(item["name"], item["args"], item["kwargs"]) for item in site.history] == [
        ("count", [["level"]], {"num": 3})
    ]


def test_a_reading_that_is_not_stored_is_a_failure() -> None:
    site = Site()
    site.devices, site.columns = ["level"], {"seq_num": [1, 2]}
    with pytest.raises(StageFailed, match="has not 3 values of seq_num") as caught:
        first_scan(site, Readings(("level",))).run(lambda *_: None)
    assert caught.value.host == "data"
