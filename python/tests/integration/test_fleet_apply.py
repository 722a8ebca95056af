"""Apply and status against this machine's own engine, reached over mutual TLS as several nodes."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from bluefleet.fleet import ApplyReport, Settings, StatusReport, apply, status
from bluefleet.model import Site
from real_engine import MakeSite, Seen
from small_registry import SmallRegistry

Declared = dict[str, Any]


def sleeper(name: str, **more: Any) -> Declared:
    """An instance that runs until it is stopped."""
    return {"name": name, "image": "tiny", "stop_grace_seconds": 1, **more}


def applied(site: Site, settings: Settings, *, check: bool = False) -> ApplyReport:
    return asyncio.run(apply(site, settings, check=check, interrupt_runs=False, progress=lambda _: None))


def looked(site: Site, settings: Settings, deadline: float = 5.0) -> StatusReport:
    return asyncio.run(status(site, settings, deadline=deadline))


def actions(report: ApplyReport) -> list[tuple[str, str, str]]:
    return [(step.instance, step.action, step.outcome) for node in report.nodes for step in node.steps]


def test_declared_instances_run_and_a_second_apply_changes_nothing(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")], "node2": [sleeper(f"{word}-b")]})
    first = applied(site, settings)
    assert first.ok, first
    assert sorted(actions(first)) == [(f"{word}-a", "create", "done"), (f"{word}-b", "create", "done")]
    before = seen.ids()
    assert set(before) == {f"bluefleet-{word}-a", f"bluefleet-{word}-b"}

    second = applied(site, settings)
    assert second.ok
    assert not second.changed
    assert seen.ids() == before
    assert looked(site, settings).ok


def test_check_shows_the_plan_and_changes_nothing(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    found = applied(site, settings, check=True)
    assert found.changed
    assert actions(found) == [(f"{word}-a", "create", "planned")]
    assert seen.ids() == {}


def test_only_what_differs_is_recreated(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a"), sleeper(f"{word}-b")]}), settings)
    before = seen.ids()
    changed = make_site({"node1": [sleeper(f"{word}-a", environment={"LEVEL": "2"}), sleeper(f"{word}-b")]})
    assert [instance.drift for instance in looked(changed, settings).nodes[0].instances] == [["spec"], []]
    assert actions(applied(changed, settings)) == [(f"{word}-a", "recreate", "done")]
    after = seen.ids()
    assert after[f"bluefleet-{word}-b"] == before[f"bluefleet-{word}-b"]
    assert after[f"bluefleet-{word}-a"] != before[f"bluefleet-{word}-a"]
    assert "LEVEL=2" in seen.inspect(f"bluefleet-{word}-a")["Config"]["Env"]


def test_adding_a_device_restarts_no_container(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    before = seen.ids()
    device = {"name": "axis", "class": "bluefleet.devices.Axis", "prefix": "x:"}
    report = applied(make_site({"node1": [sleeper(f"{word}-a", devices=[device])]}), settings)
    assert report.devices.changed
    assert actions(report) == []
    assert seen.ids() == before
    assert "axis" in settings.devices_file.read_text()


def test_an_instance_that_is_gone_from_the_declaration_is_removed(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-cam1"), sleeper(f"{word}-cam10")]}), settings)
    site = make_site({"node1": [sleeper(f"{word}-cam10")]})
    assert actions(applied(site, settings)) == [(f"{word}-cam1", "remove", "done")]
    assert set(seen.ids()) == {f"bluefleet-{word}-cam10"}


def test_what_was_stopped_is_started_again(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    from real_engine import docker

    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    before = seen.ids()
    docker("stop", "--time", "1", f"bluefleet-{word}-a")
    (stopped,) = looked(site, settings).nodes[0].instances
    assert (stopped.state, stopped.health, stopped.reason) == ("exited", "", "exited, it ended with 143")
    assert actions(applied(site, settings)) == [(f"{word}-a", "start", "done")]
    assert seen.ids() == before


def test_a_hung_engine_delays_no_other_node(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]}, hung=("node2", "node3"))
    report = applied(site, settings)
    assert not report.ok
    assert actions(report) == [(f"{word}-a", "create", "done")]
    errors = {node.name: node.error for node in report.nodes}
    assert not errors["node1"]
    assert "no answer" in errors["node2"]

    begin = time.monotonic()
    found = looked(site, settings, deadline=1.0)
    assert time.monotonic() - begin < 2.0
    assert [(node.name, node.reachable) for node in found.nodes] == [
        ("node2", False),
        ("node3", False),
        ("node1", True),
    ]


def test_with_the_registry_away_an_image_that_is_there_is_enough(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, registry: SmallRegistry
) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    registry.close()
    report = applied(make_site({"node1": [sleeper(f"{word}-a", user="1000"), sleeper(f"{word}-b")]}), settings)
    assert report.ok, report
    assert len(seen.ids()) == 2


def test_an_image_is_pulled_once_for_all_that_need_it(
    make_site: MakeSite, settings: Settings, word: str, registry: SmallRegistry, seen: Seen
) -> None:
    assert applied(make_site({"node1": [sleeper(f"{word}-{n}") for n in range(4)]}), settings).ok
    assert len(seen.ids()) == 4
    assert registry.pulls <= 2  # a HEAD and a GET of one manifest


def test_a_refused_login_is_told_and_nothing_is_stopped_for_it(
    make_site: MakeSite, settings: Settings, word: str, seen: Seen
) -> None:
    settings.registry_password.write_text("wrong")
    report = applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    (step,) = report.nodes[0].steps
    assert step.outcome == "failed"
    assert "unauthorized" in step.detail or "no basic auth" in step.detail
    assert "wrong" not in step.detail


def test_an_instance_that_does_not_stay_up_is_a_failure(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a", command=["/bin/bash", "-c", "exit 3"])]})
    (step,) = applied(site, settings).nodes[0].steps
    assert step.outcome == "failed"
    assert "does not stay up" in step.detail


def test_an_instance_that_is_not_healthy_is_a_failure(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    health = {"command": ["/bin/bash", "-c", "exit 1"], "interval_seconds": 1, "start_period_seconds": 0, "retries": 1}
    site = make_site({"node1": [sleeper(f"{word}-a", health=health)]})
    (step,) = applied(site, settings).nodes[0].steps
    assert step.outcome == "failed"
    assert "unhealthy" in step.detail
    assert looked(site, settings).nodes[0].instances[0].reason == "its health check fails"


def test_a_container_in_the_way_is_named(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    from real_engine import docker

    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    docker("rename", f"bluefleet-{word}-a", f"{word}-foreign")
    other = make_site({"node2": [sleeper(f"{word}-a")]})
    applied(other, settings)
    docker("rename", f"{word}-foreign", f"bluefleet-{word}-b")
    report = applied(make_site({"node2": [sleeper(f"{word}-a"), sleeper(f"{word}-b")]}), settings)
    failed = [step for step in report.nodes[0].steps if step.outcome == "failed"]
    assert [step.instance for step in failed] == [f"{word}-b"]
    assert "already in use" in failed[0].detail


@pytest.mark.parametrize("missing", ["ca.pem", "cert.pem", "key.pem"])
def test_status_says_which_file_of_the_key_is_missing(
    make_site: MakeSite, settings: Settings, missing: str, tmp_path: Path
) -> None:
    site = make_site({"node1": []})
    (settings.engine_certificate / missing).unlink()
    (node,) = looked(site, settings).nodes
    assert missing in node.reason
