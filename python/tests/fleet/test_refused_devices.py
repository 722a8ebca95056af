"""The file of refused devices says what is disabled, whoever else changes overrides at the same time."""

import asyncio
import errno
import json
import os
import threading
from pathlib import Path

import pytest

from bluefleet.fleet import Call, Override, Overrides, Settings, State, StateUnusable, disable, select
from bluefleet.fleet import _refused_devices as refused
from bluefleet.fleet._lock import node_lock
from bluefleet.fleet._overrides import put
from bluefleet.fleet._whole_file import write_whole
from bluefleet.model import Site


def node(number: int) -> dict[str, object]:
    device = {"name": f"axis{number}", "class": "bluefleet.devices.Axis", "prefix": "x:"}
    instance = {"name": f"stage{number}", "image": "ioc", "devices": [device]}
    return {"name": f"node{number}", "address": f"10.0.0.{number}", "instances": [instance]}


SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"ioc": {"reference": "ioc"}},
        "nodes": [node(1), node(2)],
    }
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")


def refused_now(settings: Settings) -> set[str]:
    return set(json.loads(settings.refused_devices_file.read_text())["devices"])


def test_who_writes_slowly_takes_back_nobody_s_disable(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    state = State(settings.state_file)
    put(state, [Override(node="node1", kind="cordoned", who="ada")])
    writing, disabled = threading.Event(), threading.Event()

    def slowly(path: Path, text: str) -> None:
        writing.set()
        # Somebody who can't come between takes longer than this.
        disabled.wait(0.5)
        write_whole(path, text)

    monkeypatch.setattr(refused, "write_whole", slowly)
    first = threading.Thread(target=refused.write_refused, args=[SITE, settings])
    first.start()
    assert writing.wait(5)
    monkeypatch.setattr(refused, "write_whole", write_whole)
    put(state, [Override(node="node1", kind="disabled", who="bob")])
    refused.write_refused(SITE, settings)
    disabled.set()
    first.join(5)
    assert refused_now(settings) == {"axis1"}


def test_a_disable_that_is_ended_while_it_waits_for_a_node_holds_for_the_others(settings: Settings) -> None:
    async def ended() -> None:
        async with node_lock(settings.locks_folder, "node2", who="bob", verb="apply", wait=0):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await disable(SITE, settings, select(SITE), Call("disable", who="ada", wait=30))

    asyncio.run(ended())
    assert refused_now(settings) == {"axis1"}


def test_a_disable_that_plans_can_t_be_told_of_says_so_and_what_makes_up_for_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateUnusable, match=r"refused\.json: No space left on device") as caught:
        asyncio.run(disable(SITE, settings, select(SITE, ["node1"]), Call("disable", who="ada")))
    assert caught.value.remedy.startswith("Make room on the manager's disk. What operators said is kept")
    assert Overrides.now(State(settings.state_file)).first("node1", "", "disabled")
    assert not settings.refused_devices_file.exists()
