"""`talk` to real cameras and bad servers at once: one result for each instance, and replies as they come."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from bad_actors import SilentProxy, dies_in_the_middle, never_ends, serving, speaks_http, well
from bluefleet.fleet import (
    ActorLinks,
    CommandInvalid,
    NoActor,
    Override,
    Overrides,
    Reply,
    TalkReport,
    Target,
    actor_targets,
    select,
    talk,
)
from bluefleet.model import Site
from camera_process import CameraProcess

pytestmark = pytest.mark.slow

DIGEST = "sha256:" + "a" * 64
SITE = Site.model_validate(
    {
        "schema_version": 1,
        "site": "lab",
        "hosts": {},
        "registry": None,
        "images": {"camera": {"reference": f"registry:5000/bluefleet/camera@{DIGEST}", "digest": DIGEST}},
        "nodes": [
            {
                "name": name,
                "address": f"10.0.0.{number}",
                "instances": [
                    {"name": "cam1", "image": "camera", "actor": {"port": 19995}},
                    {"name": "cam10", "image": "camera", "actor": {"port": 19996}},
                    {"name": "ioc", "image": "camera"},
                ],
            }
            for number, name in enumerate(("node1", "node10"), 1)
        ],
    }
)


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CameraProcess]]:
    processes = [
        CameraProcess(tmp_path_factory.mktemp(name), name=name, prefix=f"{name}:").start() for name in ("cam1", "cam10")
    ]
    yield processes
    for process in processes:
        process.stop()


def of(camera: CameraProcess) -> Target:
    return Target("node1", camera.name, "127.0.0.1", camera.actor_port)


def said(report: TalkReport) -> dict[str, str]:
    return {f"{result.node}/{result.instance}": result.outcome for result in report.results}


def test_names_that_begin_alike_are_never_mixed_up() -> None:
    chosen = actor_targets(SITE, select(SITE, ["node1/cam1"]))
    assert [(target.label, target.port) for target in chosen] == [("node1/cam1", 19995)]
    assert [target.label for target in actor_targets(SITE, select(SITE, ["node10"]))] == [
        "node10/cam1",
        "node10/cam10",
    ]
    assert len(actor_targets(SITE, select(SITE))) == 4


def test_what_was_named_and_has_no_actor_is_refused_with_what_has() -> None:
    with pytest.raises(
        NoActor, match=r"node1/ioc declares no actor that is in use. These do: node1/cam1, node1/cam10, node10/cam1"
    ):
        actor_targets(SITE, select(SITE, ["node1/ioc", "cam1"]))


def test_what_is_disabled_is_left_out_unless_it_is_named() -> None:
    disabled = Overrides([Override(node="node1", instance="cam1", kind="disabled", who="grace")])
    labels = [target.label for target in actor_targets(SITE, select(SITE), disabled)]
    assert labels == ["node1/cam10", "node10/cam1", "node10/cam10"]
    assert [one.label for one in actor_targets(SITE, select(SITE, ["node1/cam1"]), disabled)] == ["node1/cam1"]


@pytest.mark.parametrize("words", ["", "  ", "status\n7 abort", "status\0", "x" * 40_000])
def test_what_is_not_one_command_is_refused(words: str) -> None:
    with pytest.raises(CommandInvalid):
        asyncio.run(talk(SITE, words, [], deadline=1))


def test_every_camera_answers_with_its_label(cameras: list[CameraProcess]) -> None:
    heard: list[tuple[str, Reply]] = []
    report = asyncio.run(
        talk(
            SITE,
            "status",
            [of(camera) for camera in cameras],
            deadline=10,
            heard=lambda target, reply: heard.append((target.label, reply)),
        )
    )
    assert report.ok
    told = {label: reply.keywords["exposure_state"]["camera"] for label, reply in heard if reply.code == "i"}
    assert told == {"node1/cam1": "cam1", "node1/cam10": "cam10"}


def test_exposures_of_a_fan_out_run_side_by_side(cameras: list[CameraProcess]) -> None:
    begun = time.monotonic()
    report = asyncio.run(talk(SITE, "expose 2", [of(camera) for camera in cameras], deadline=20))
    assert report.ok
    assert time.monotonic() - begun < 3.8


def test_replies_stream_while_the_command_goes_on(cameras: list[CameraProcess]) -> None:
    arrived: list[float] = []
    asyncio.run(
        talk(SITE, "expose 1", [of(cameras[0])], deadline=10, heard=lambda _t, _r: arrived.append(time.monotonic()))
    )
    # The first says that it began, the last names the file.
    assert arrived[-1] - arrived[0] > 0.8


def test_failure_of_one_is_failure_of_the_whole_and_says_which(cameras: list[CameraProcess]) -> None:
    async def claim() -> TalkReport:
        async with AsyncExitStack() as stack:
            bad = {
                name: Target("node2", name, "127.0.0.1", await stack.enter_async_context(serving(serve)))
                for name, serve in [("dies", dies_in_the_middle), ("hangs", never_ends), ("http", speaks_http)]
            }
            async with serving(well) as gone:
                pass
            bad["gone"] = Target("node2", "gone", "127.0.0.1", gone)
            return await talk(SITE, "status", [*map(of, cameras), *bad.values()], deadline=2)

    begun = time.monotonic()
    report = asyncio.run(claim())
    assert time.monotonic() - begun < 4
    assert not report.ok
    assert said(report) == {
        "node1/cam1": "done", "node1/cam10": "done", "node2/dies": "lost", "node2/hangs": "timeout",
        "node2/http": "lost", "node2/gone": "unreachable",
    }  # fmt: skip
    assert [result.ok for result in report.results] == [False] * 4 + [True] * 2, "worst first"
    assert all(result.error and result.remedy for result in report.results if not result.ok)


def test_an_actors_refusal_is_a_failure_in_its_own_words(cameras: list[CameraProcess]) -> None:
    report = asyncio.run(talk(SITE, "set temperature -200", [of(cameras[0])], deadline=10))
    assert not report.ok
    assert report.results[0].outcome == "failed"
    assert "out of range" in report.results[0].error


def test_a_camera_killed_in_the_middle_ends_with_an_error_for_that_one(cameras: list[CameraProcess]) -> None:
    victim = cameras[1]

    async def claim() -> TalkReport:
        def kill(target: Target, _: Reply) -> None:
            if target.instance == victim.name and victim.process is not None:
                victim.stop(signal.SIGKILL)

        return await talk(SITE, "expose 1", [of(camera) for camera in cameras], deadline=20, heard=kill)

    try:
        report = asyncio.run(claim())
    finally:
        victim.start()
    assert said(report) == {"node1/cam1": "done", "node1/cam10": "lost"}
    assert asyncio.run(talk(SITE, "status", [of(victim)], deadline=10)).ok


@pytest.mark.timeout(90)
def test_a_camera_behind_a_link_that_goes_silent_ends_within_10_s_and_answers_again(
    cameras: list[CameraProcess],
) -> None:
    async def claim() -> tuple[TalkReport, float, TalkReport]:
        proxy = SilentProxy(cameras[0].actor_port)
        async with serving(proxy.serve) as port, ActorLinks() as links:
            target = Target("node1", "cam1", "127.0.0.1", port)
            first = await talk(SITE, "status", [target], deadline=5, links=links)
            assert first.ok
            proxy.go_silent()
            begun = time.monotonic()
            lost = await talk(SITE, "expose 2", [target, of(cameras[1])], deadline=60, links=links)
            took = time.monotonic() - begun
            async with asyncio.timeout(10):
                while not (again := await talk(SITE, "status", [target], deadline=5, links=links)).ok:
                    await asyncio.sleep(0.2)
            return lost, took, again

    lost, took, again = asyncio.run(claim())
    assert said(lost) == {"node1/cam1": "lost", "node1/cam10": "done"}
    assert took < 10
    assert again.ok


def test_a_hundred_targets_of_which_three_never_answer_end_with_the_deadline() -> None:
    async def claim() -> TalkReport:
        async with serving(well) as good, serving(never_ends) as bad:
            targets = [Target("n", f"cam{i}", "127.0.0.1", bad if i < 3 else good) for i in range(100)]
            return await talk(SITE, "status", targets, deadline=1)

    begun = time.monotonic()
    report = asyncio.run(claim())
    assert time.monotonic() - begun < 4
    assert sorted(said(report).values()).count("timeout") == 3
    assert len(report.results) == 100


def test_a_report_is_one_json_object(cameras: list[CameraProcess]) -> None:
    report = asyncio.run(talk(SITE, "ping", [of(cameras[0])], deadline=10))
    content: dict[str, Any] = report.model_dump(mode="json")
    assert content["schema_version"] == 1
    assert content["results"][0]["keywords"] == {"text": "Pong."}


def test_a_link_to_who_moved_is_closed_and_the_others_stay() -> None:
    async def moved() -> None:
        async with serving(well) as before, serving(well) as after, serving(well) as other, ActorLinks() as links:
            old, new = Target("node1", "cam1", "127.0.0.1", before), Target("node1", "cam1", "127.0.0.1", after)
            stays = Target("node1", "cam10", "127.0.0.1", other)
            assert (await talk(SITE, "status", [old, stays], deadline=5, links=links)).ok
            closed, kept = await links.to(old), await links.to(stays)
            await links.keep([new, stays])
            assert (closed.connected, kept.connected) == (False, True)
            assert await links.to(stays) is kept
            assert (await talk(SITE, "status", [new, stays], deadline=5, links=links)).ok
        assert not kept.connected

    asyncio.run(moved())
