"""`talk` through the actor is the `talk` of the command line: what changes something stands in history."""

from __future__ import annotations

import asyncio
import inspect
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bad_actors import serving, well
from bluefleet.actor._commands import talk_
from bluefleet.actor._fleet import Fleet
from bluefleet.actor._settings import ActorSettings
from bluefleet.fleet import ActorLinks, Overrides, Settings, State, history
from bluefleet.model import Site


class Said:
    """A command of a client, and what it is told."""

    transport = SimpleNamespace(who="grace at 10.0.0.9")

    def write(self, *_words: Any, **_options: Any) -> None:
        """Nobody listens."""


def site_of(port: int) -> Site:
    instance = {"name": "cam1", "image": "camera", "actor": {"port": port}}
    return Site.model_validate(
        {
            "schema_version": 1,
            "site": "lab",
            "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}},
            "registry": None,
            "images": {"camera": {"reference": "camera"}},
            "nodes": [{"name": "node1", "address": "127.0.0.1", "instances": [instance]}],
        }
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(etc=tmp_path / "etc", lib=tmp_path / "lib")
    made.etc.mkdir()
    return made


def test_what_is_said_stands_in_history_with_who_said_it_and_questions_do_not(settings: Settings) -> None:
    say: Any = inspect.unwrap(talk_.callback)  # type: ignore[arg-type]

    async def both() -> None:
        async with serving(well) as port, ActorLinks() as links:
            settings.site_file.write_text(site_of(port).model_dump_json(by_alias=True))
            fleet = Fleet(settings, ActorSettings(), links)
            for words in (["status"], ["expose", "0.1"]):
                await say(Said(), fleet, camera_command=words, names=None, category=None, deadline=5)

    asyncio.run(both())
    (entry,) = history.entries(State(settings.state_file))
    assert (entry.who, entry.verb, entry.targets, entry.result) == ("grace at 10.0.0.9", "talk", ["node1/cam1"], "ok")
    assert entry.options == {"command": "expose 0.1"}


def test_a_camera_that_left_the_site_is_dialled_no_more(settings: Settings) -> None:
    async def moved() -> None:
        async with serving(well) as before, serving(well) as after, ActorLinks() as links:
            fleet = Fleet(settings, ActorSettings(), links)
            settings.site_file.write_text(site_of(before).model_dump_json(by_alias=True))
            await fleet.link()
            (first,) = links.targets
            settings.site_file.unlink()
            settings.site_file.write_text(site_of(after).model_dump_json(by_alias=True))
            fleet._stamp = 0
            await fleet.link()
            (second,) = links.targets
            assert (first.port, second.port) == (before, after)

    asyncio.run(moved())


def test_who_holds_the_state_file_holds_up_no_other_command(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, let_go = threading.Event(), threading.Event()

    def wait(_state: State) -> Overrides:
        held.set()
        assert let_go.wait(10)
        return Overrides()

    monkeypatch.setattr(Overrides, "now", wait)
    settings.site_file.write_text(site_of(1).model_dump_json(by_alias=True))

    async def both() -> list[str]:
        async with ActorLinks() as links:
            asking = asyncio.create_task(Fleet(settings, ActorSettings(), links).enabled_nodes())
            while not held.is_set():
                await asyncio.sleep(0.001)
            # The loop is here, and not in the wait for the file.
            let_go.set()
            return await asking

    assert asyncio.run(both()) == ["node1"]
