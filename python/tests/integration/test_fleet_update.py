"""update and rollback against this machine's own engine: a few at a time, only what is well, and back again."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from bluefleet.fleet import (
    Call,
    Overrides,
    RollingReport,
    SelectionInvalid,
    Settings,
    State,
    _rolling,
    apply,
    caller,
    clear,
    cordon,
    doctor,
    history,
    rollback,
    select,
    simulate,
    status,
    update,
)
from bluefleet.model import Image, Site
from patience import PATIENCE
from real_engine import PASSWORD, MakeSite, Seen, docker
from small_registry import SmallRegistry

SICK = {"command": ["/bin/bash", "-c", "exit 1"], "interval_seconds": 0.2, "start_period_seconds": 0, "retries": 1}


def sleeper(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "tiny", "stop_grace_seconds": 0, **more}


@pytest.fixture
def newer(word: str) -> Iterator[SmallRegistry]:
    """Another image, in a registry of its own."""
    found = SmallRegistry(PASSWORD, word + "-newer")
    yield found
    found.close()
    lines = docker("images", "--digests", "--format", "{{.Digest}} {{.ID}}").splitlines()
    for identity in {line.split()[1] for line in lines if line.startswith(found.digest)}:
        docker("rmi", "--force", identity)


def pinned(registry: SmallRegistry) -> dict[str, Image]:
    return {"tiny": Image(reference=registry.reference, digest=registry.digest)}


def applied(site: Site, settings: Settings, *targets: str) -> Any:
    return asyncio.run(
        apply(
            site,
            settings,
            chosen=select(site, targets),
            check=False,
            interrupt_runs=False,
            progress=lambda _: None,
        )
    )


def updated(site: Site, settings: Settings, *targets: str, **more: Any) -> RollingReport:
    options = {name: more.pop(name) for name in ("serial", "images") if name in more}
    return asyncio.run(update(site, settings, select(site, targets), Call("update", who="ada", **more), **options))


def rolled_back(site: Site, settings: Settings, *targets: str, **more: Any) -> RollingReport:
    options = {name: more.pop(name) for name in ("serial", "further") if name in more}
    return asyncio.run(rollback(site, settings, select(site, targets), Call("rollback", who="ada", **more), **options))


def actions(report: Any) -> list[tuple[str, str, str]]:
    return [(step.instance, step.action, step.outcome) for node in report.nodes for step in node.steps]


def kinds(settings: Settings) -> list[tuple[str, str]]:
    return [(one.instance, one.kind) for one in Overrides.now(State(settings.state_file)).all]


def user(seen: Seen, name: str) -> str:
    return seen.inspect(f"bluefleet-{name}")["Config"]["User"]


def image(seen: Seen, name: str) -> str:
    return seen.inspect(f"bluefleet-{name}")["Config"]["Image"].partition("@")[2]


def test_an_update_goes_one_at_a_time_and_a_rollback_brings_back_what_was(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    a, b = f"{word}-a", f"{word}-b"
    old = make_site({"node1": [sleeper(a)], "node2": [sleeper(b)]})
    applied(old, settings)
    new = make_site({"node1": [sleeper(a, user="1000")], "node2": [sleeper(b, user="1000")]})
    said: list[str] = []
    report = updated(new, settings, progress=said.append)
    assert (report.ok, actions(report)) == (True, [(a, "recreate", "done"), (b, "recreate", "done")])
    assert (report.reached, report.not_reached) == ([f"node1/{a}", f"node2/{b}"], [])
    assert [line.partition(":")[0] for line in said] == [f"node1/{a}", f"node2/{b}"]
    before = seen.ids()
    again = updated(new, settings)
    assert (again.ok, again.changed, seen.ids()) == (True, False, before)

    back = rolled_back(new, settings, a)
    assert (back.ok, actions(back)) == (True, [(a, "recreate", "done")])
    assert (user(seen, a), user(seen, b)) == ("", "1000")
    assert kinds(settings) == [(a, "rolled-back")]
    assert applied(new, settings).changed is False
    looked = asyncio.run(status(new, settings, deadline=5))
    assert looked.ok
    shown = [one for node in looked.nodes for one in node.instances if one.name == a]
    assert [one.kind for one in shown[0].overrides] == ["rolled-back"]

    asyncio.run(clear(new, settings, select(new, [a]), Call("clear")))
    assert actions(applied(new, settings)) == [(a, "recreate", "done")]
    assert user(seen, a) == "1000"


def test_a_chosen_image_is_a_pin_that_apply_honours_until_the_next_update(
    make_site: MakeSite, settings: Settings, registry: SmallRegistry, newer: SmallRegistry, seen: Seen
) -> None:
    word = seen.site
    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    site = make_site({"node1": [sleeper(f"{word}-a")]}, registry={"address": newer.address, "tls": False})
    report = updated(site, settings, images=pinned(newer))
    assert report.ok
    assert image(seen, f"{word}-a") == newer.digest
    assert kinds(settings) == [(f"{word}-a", "pinned")]
    assert applied(site, settings).changed is False

    (override,) = Overrides.now(State(settings.state_file)).all
    assert override.words.startswith(f"pinned to tiny@{newer.digest[7:19]} by ada since")
    (step,) = rolled_back(site, settings, f"{word}-a", dry_run=True).nodes[0].steps
    assert f"back to what {caller()} applied, well since 20" in step.reason
    assert step.reason.endswith(f"UTC, from image tiny@{registry.digest[7:19]}")
    # The registry is gone: what was there before is still on the node.
    registry.close()
    assert rolled_back(site, settings, f"{word}-a").ok
    assert image(seen, f"{word}-a") == registry.digest
    assert kinds(settings) == [(f"{word}-a", "rolled-back")]

    assert updated(site, settings).ok
    assert kinds(settings) == []
    with pytest.raises(SelectionInvalid):
        updated(site, settings, images={"other": pinned(newer)["tiny"]})


def test_an_update_stops_at_the_first_that_does_not_get_well_and_says_how_far_it_got(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    names = [f"{word}-{letter}" for letter in "abc"]
    applied(make_site({"node1": [sleeper(name) for name in names]}), settings)
    before = seen.ids()
    more: list[dict[str, Any]] = [{}, {"health": SICK}, {}]
    new = make_site({"node1": [sleeper(name, user="1000", **each) for name, each in zip(names, more, strict=True)]})
    report = updated(new, settings, healthy_within=5.0)
    assert not report.ok
    assert actions(report) == [(names[0], "recreate", "done"), (names[1], "recreate", "failed")]
    assert (report.reached, report.not_reached) == ([f"node1/{names[0]}"], [f"node1/{names[2]}"])
    assert seen.ids()[f"bluefleet-{names[2]}"] == before[f"bluefleet-{names[2]}"]
    entry = history.entries(State(settings.state_file))[0]
    assert (entry.verb, entry.result, entry.detail[-1]) == ("update", "failed", f"not reached: node1/{names[2]}")
    # What is sick is not passed by, because it is already what it should be.
    again = updated(new, settings, healthy_within=2.0)
    assert (actions(again), again.not_reached) == ([(names[1], "wait", "failed")], [f"node1/{names[2]}"])

    back = rolled_back(new, settings, "node1")
    assert (back.ok, [user(seen, name) for name in names]) == (True, ["", "", ""])
    # Run again it finishes what was interrupted, and does not go further back.
    untouched = seen.ids()
    assert rolled_back(new, settings, "node1").changed is False
    assert seen.ids() == untouched


def test_rollback_goes_further_back_only_when_asked(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    a = f"{word}-a"
    for number in (1, 2, 3):
        site = make_site({"node1": [sleeper(a, user=str(number))]})
        assert updated(site, settings).ok
    users = []
    for further in (False, True):
        assert rolled_back(site, settings, a, further=further).ok
        users.append(user(seen, a))
    assert users == ["2", "1"]
    end = rolled_back(site, settings, a, further=True)
    assert (end.ok, end.nodes[0].steps[0].outcome) == (False, "refused")
    assert "no earlier spec" in end.nodes[0].steps[0].detail


def test_a_rollback_that_ends_while_it_is_noted_leaves_nothing_of_it(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = f"{word}-a"
    applied(make_site({"node1": [sleeper(a, user="1")]}), settings)
    site = make_site({"node1": [sleeper(a, user="2")]})
    applied(site, settings)
    with monkeypatch.context() as patch:
        # As Ctrl-C does between two statements.
        patch.setattr(_rolling, "withdraw_since", cancelled)
        with pytest.raises(asyncio.CancelledError):
            rolled_back(site, settings, a)
    assert (kinds(settings), user(seen, a)) == ([], "2")
    assert rolled_back(site, settings, a).ok
    assert user(seen, a) == "1"


def cancelled(*_: object) -> None:
    raise asyncio.CancelledError


def test_a_twin_is_nothing_to_roll_back_to(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    a = f"{word}-a"

    def declared(user: str) -> Site:
        twin = {"image": "tiny", "command": ["/bin/bash", "-c", "sleep 1000"]}
        return make_site({"node1": [sleeper(a, user=user, simulated=twin)]})

    def is_simulated() -> bool:
        return "org.bluefleet.simulated" in seen.inspect(f"bluefleet-{a}")["Config"]["Labels"]

    site = declared("1")
    applied(site, settings)
    asyncio.run(simulate(site, settings, select(site, [a]), Call("simulate")))
    applied(site, settings)
    assert is_simulated()
    asyncio.run(clear(site, settings, select(site, [a]), Call("clear")))
    applied(site, settings)
    none = rolled_back(site, settings, a)
    assert (none.ok, "no earlier spec" in none.nodes[0].steps[0].detail, is_simulated()) == (False, True, False)

    later = declared("2")
    asyncio.run(simulate(later, settings, select(later, [a]), Call("simulate")))
    applied(later, settings)
    asyncio.run(clear(later, settings, select(later, [a]), Call("clear")))
    applied(later, settings)
    assert rolled_back(later, settings, a).ok
    assert (user(seen, a), is_simulated()) == ("1", False)


def test_a_chosen_image_that_fails_is_told_with_ways_back_that_work(
    make_site: MakeSite, settings: Settings, registry: SmallRegistry, newer: SmallRegistry, seen: Seen
) -> None:
    name = f"{seen.site}-a"
    place = f"node1/{name}"
    applied(make_site({"node1": [sleeper(name)]}), settings)
    site = make_site({"node1": [sleeper(name, health=SICK)]}, registry={"address": newer.address, "tls": False})
    report = updated(site, settings, images=pinned(newer), healthy_within=5.0)
    (step,) = report.nodes[0].steps
    assert step.outcome == "failed"
    assert f"it stays pinned to tiny@{newer.digest[7:19]}" in step.detail
    back = f"`bluefleet rollback {place}` goes back to what was before"
    declared = f"`bluefleet clear {place}` and `bluefleet apply {place}` to what is declared"
    assert step.detail.endswith(f"{back}, {declared}")
    (told,) = [one for one in asyncio.run(doctor(site, settings)).checks if one.check == "instance"]
    assert told.remedy.endswith(f"{back}, {declared}")

    assert rolled_back(site, settings, place).ok
    assert image(seen, name) == registry.digest


def test_of_a_node_those_go_back_that_can(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    old, new = f"{word}-old", f"{word}-new"
    applied(make_site({"node1": [sleeper(old)]}), settings)
    site = make_site({"node1": [sleeper(new), sleeper(old, user="1000")]})
    assert applied(site, settings).ok
    back = rolled_back(site, settings, "node1")
    assert (back.ok, actions(back)) == (True, [(new, "recreate", "held"), (old, "recreate", "done")])
    assert back.nodes[0].steps[0].detail == "no earlier spec of it is recorded"
    named = rolled_back(site, settings, f"node1/{new}")
    assert (named.ok, actions(named)) == (False, [(new, "recreate", "refused")])


def test_two_at_a_time_fail_together_and_the_third_is_not_reached(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site(
        {"node1": [sleeper(f"{word}-a")], "node2": [sleeper(f"{word}-b", health=SICK), sleeper(f"{word}-c")]}
    )
    report = updated(site, settings, serial=2, healthy_within=5.0)
    assert sorted(actions(report)) == [(f"{word}-a", "create", "done"), (f"{word}-b", "create", "failed")]
    assert report.not_reached == [f"node2/{word}-c"]


def test_an_image_that_cannot_be_had_changes_nothing(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, registry: SmallRegistry
) -> None:
    site = make_site({"node1": [sleeper(f"{word}-a")]})
    applied(site, settings)
    before = seen.ids()
    digest = "sha256:" + "0" * 64
    none = {"tiny": Image(reference=f"{registry.address}/tiny@{digest}", digest=digest)}
    report = updated(site, settings, images=none)
    assert (report.ok, actions(report)) == (False, [(f"{word}-a", "recreate", "failed")])
    assert (seen.ids(), kinds(settings)) == (before, [])


def test_what_is_cordoned_or_on_a_dry_run_is_left_as_it_is(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [sleeper(f"{word}-a"), sleeper(f"{word}-b")]}), settings)
    site = make_site({"node1": [sleeper(f"{word}-a", user="7"), sleeper(f"{word}-b", user="7")]})
    asyncio.run(cordon(site, settings, select(site, [f"{word}-a"]), Call("cordon")))
    before = seen.ids()
    planned = updated(site, settings, dry_run=True)
    assert actions(planned) == [(f"{word}-a", "recreate", "held"), (f"{word}-b", "recreate", "planned")]
    assert seen.ids() == before
    assert rolled_back(site, settings, "node1", dry_run=True).ok


def test_images_that_no_rollback_asks_for_leave_the_node(
    make_site: MakeSite, settings: Settings, registry: SmallRegistry, newer: SmallRegistry, seen: Seen
) -> None:
    word = seen.site
    applied(make_site({"node1": [sleeper(f"{word}-a")]}), settings)
    site = make_site({"node1": [sleeper(f"{word}-a")]}, registry={"address": newer.address, "tls": False})
    assert updated(site, settings, images=pinned(newer)).ok
    declared = make_site(
        {"node1": [sleeper(f"{word}-a")]},
        images={"tiny": {"reference": newer.reference, "digest": newer.digest}},
    )
    for number in (1, 2):
        assert registry.digest in docker("images", "--digests", "--format", "{{.Digest}}")
        node = declared.nodes[0]
        changed = node.model_copy(update={"instances": [node.instances[0].model_copy(update={"user": str(number)})]})
        assert updated(declared.model_copy(update={"nodes": [changed]}), settings).ok
    left = docker("images", "--digests", "--format", "{{.Digest}}")
    assert registry.digest not in left
    assert newer.digest in left


def test_an_update_that_was_killed_is_completed_when_it_is_run_again(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    names = [f"{word}-{letter}" for letter in "abc"]
    applied(make_site({"node1": [sleeper(name) for name in names]}), settings)
    site = make_site({"node1": [sleeper(name, user="1000") for name in names]})
    settings.site_file.write_text(yaml.safe_dump(site.model_dump(mode="json", by_alias=True)))
    places = {"BLUEFLEET_ETC": str(settings.etc), "BLUEFLEET_LIB": str(settings.lib)}
    environment = {name: value for name, value in os.environ.items() if name != "BLUEFLEET_INVENTORY"} | places
    command = [sys.executable, "-c", "from bluefleet.cli import main; main()", "update"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.startswith(f"node1/{names[1]}: recreate"))
        process.kill()
    assert user(seen, names[2]) == ""
    again = subprocess.run(
        [*command, "--json"], env=environment, capture_output=True, text=True, check=True, timeout=60 * PATIENCE
    )
    said = json.loads(again.stdout)
    assert said["reached"] == [f"node1/{name}" for name in names]
    assert [user(seen, name) for name in names] == ["1000"] * 3
    entries = history.entries(State(settings.state_file), verb="update")
    assert [entry.result for entry in entries] == ["ok", "unfinished"]
