"""What a dead device does: it is named with the reason, stops nobody else, and joins when it is back."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine
from bluesky.plans import count
from bluesky.run_engine import call_in_bluesky_event_loop

from bluefleet.acquisition.guard import DeviceLost, DeviceUnreachable, refuse_unreachable
from bluefleet.devices import Axis, Detector, RandomWalk, ReadOnlySignal, SettableSignal, connections
from bluefleet.devices.connections import Connections
from patience import PATIENCE

pytestmark = pytest.mark.filterwarnings("default")


def until(condition: Callable[[], bool], deadline: float = 30.0) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.05)


@pytest.fixture
def engine(iocs: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunEngine]:
    monkeypatch.setattr(connections, "CONNECT_DEADLINE", 1.0)
    monkeypatch.setattr(connections, "CHECK_DEADLINE", 3.0)
    monkeypatch.setattr(connections, "RETRY_INTERVAL", 0.3)
    yield RunEngine({})
    for ioc in (iocs.beamline, iocs.walk):
        if ioc.process is None:
            ioc.start()


@pytest.fixture
def site(engine: RunEngine, tmp_path: Path) -> Iterator[Connections]:
    found = Connections(tmp_path / "devices.json")
    yield found
    call_in_bluesky_event_loop(found.stop(), timeout=10 * PATIENCE)


def add(site: Connections, refused: dict[str, str] | None = None, **devices: Any) -> None:
    call_in_bluesky_event_loop(site.add(devices, refused or {}), timeout=20 * PATIENCE)


def test_a_dead_device_stops_no_other_and_is_named_with_the_reason(
    engine: RunEngine, site: Connections, tmp_path: Path
) -> None:
    begun = time.monotonic()
    add(
        site,
        {"broken": "no such class"},
        ghost=Axis("nobody:", name="ghost"),
        other=Axis("nothing:", name="other"),
        pinhole=Detector("mini:ph:", name="pinhole"),
    )
    assert time.monotonic() - begun < 4, "dead devices are waited for side by side"
    assert set(site.unreachable()) == {"ghost", "other", "broken"}
    assert "nobody:mtr" in site.unreachable()["ghost"]
    written = json.loads((tmp_path / "devices.json").read_text(encoding="utf-8"))
    assert written["devices"]["pinhole"]["connected"] is True
    assert written["devices"]["broken"]["reason"] == "no such class"


def test_a_pv_of_another_type_is_told_as_that_and_not_as_silent(engine: RunEngine, site: Connections) -> None:
    add(
        site,
        shutter=ReadOnlySignal("mini:dot:shutter_open", name="shutter", type="float"),
        current=SettableSignal("mini:current", name="current", type="str"),
        image=Detector("mini:dot:", name="image"),
    )
    reasons = site.unreachable()
    assert reasons["shutter"] == (
        "wrong type: mini:dot:shutter_open is an integer (int), and the device declares a float"
    )
    assert reasons["current"] == "wrong type: mini:current is a float, and the device declares a text (str)"
    assert reasons["image"].startswith("wrong type: mini:dot:det is ")


@pytest.mark.slow
def test_a_plan_that_needs_a_dead_device_is_refused_by_name_before_it_opens_a_run(
    engine: RunEngine, site: Connections
) -> None:
    pinhole, ghost = Detector("mini:ph:", name="pinhole"), Axis("nobody:", name="ghost")
    add(site, pinhole=pinhole, ghost=ghost)
    engine.preprocessors.append(refuse_unreachable(site))
    documents: list[str] = []
    engine.subscribe(lambda name, _: documents.append(name))
    with pytest.raises(DeviceUnreachable, match=r"device ghost is not available: no answer from nobody:mtr"):
        engine(count([pinhole, ghost]))
    assert documents == []
    engine(count([pinhole]))
    assert documents == ["start", "descriptor", "event", "stop"]


@pytest.mark.slow
def test_a_device_joins_when_its_ioc_comes_back(engine: RunEngine, site: Connections, iocs: Any) -> None:
    iocs.walk.stop()
    walk = RandomWalk("random_walk:", name="walk")
    add(site, walk=walk)
    assert "walk" in site.unreachable()
    iocs.walk.start()
    until(lambda: not site.unreachable())
    engine.preprocessors.append(refuse_unreachable(site))
    engine(count([walk]))


@pytest.mark.slow
def test_a_device_that_dies_is_noticed_and_usable_at_once_when_it_is_back(
    engine: RunEngine, site: Connections, iocs: Any
) -> None:
    walk = RandomWalk("random_walk:", name="walk")
    add(site, walk=walk)
    engine.preprocessors.append(refuse_unreachable(site))
    engine(count([walk]))
    iocs.walk.stop()
    until(lambda: "walk" in site.unreachable())
    with pytest.raises(DeviceUnreachable):
        engine(count([walk]))
    iocs.walk.start()
    # No wait for a search that libca may put off for a minute.
    engine(count([walk]))
    assert not site.unreachable()


@pytest.mark.slow
def test_a_device_that_dies_in_a_plan_is_named_in_words(engine: RunEngine, site: Connections, iocs: Any) -> None:
    walk = RandomWalk("random_walk:", name="walk")
    walk.position._timeout = 1.0
    add(site, walk=walk)
    engine.preprocessors.append(refuse_unreachable(site))

    def dies_after_the_first_event(name: str, _: Any) -> None:
        if name == "event" and iocs.walk.process is not None:
            iocs.walk.stop()

    engine.subscribe(dies_after_the_first_event)
    with pytest.raises(DeviceLost, match=r"random_walk:x stopped answering during the plan"):
        engine(count([walk], 3, delay=0.5))


def test_a_plan_is_refused_a_device_that_an_operator_disabled_until_it_is_enabled(
    engine: RunEngine, tmp_path: Path
) -> None:
    refused = tmp_path / "refused.json"
    site = Connections(refused_file=refused)
    pinhole = Detector("mini:ph:", name="pinhole")
    add(site, pinhole=pinhole)
    engine.preprocessors.append(refuse_unreachable(site))
    refused.write_text(json.dumps({"schema_version": 1, "devices": {"pinhole": "node1 is disabled by ada: leaks"}}))
    with pytest.raises(DeviceUnreachable, match="device pinhole is not available: node1 is disabled by ada: leaks"):
        engine(count([pinhole]))
    assert site.unreachable() == {}
    refused.write_text(json.dumps({"schema_version": 1, "devices": {}}))
    engine(count([pinhole]))
