"""logs, exec, images and what status measures, against this machine's own engine, reached over mutual TLS."""

import asyncio
import io
import os
import re
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from bluefleet.engine import EngineError, ProgramNotStarted, Streams
from bluefleet.fleet import (
    Call,
    InstanceLine,
    NotRunning,
    Settings,
    State,
    Wanted,
    apply,
    execute,
    history,
    images_report,
    logs,
    operate,
    select,
    status,
)
from bluefleet.fleet import _disk as disk
from bluefleet.fleet._kept_logs import kept
from bluefleet.model import Site
from real_engine import MakeSite, Seen, docker
from small_registry import SmallRegistry

BASH = "/bin/bash"
COUNTS = [BASH, "-c", "echo begun; n=0; while :; do echo line $((n++)); echo oh >&2; sleep 0.2; done"]


def writer(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "tiny", "stop_grace_seconds": 1, "command": COUNTS, **more}


def applied(site: Site, settings: Settings, **more: Any) -> None:
    report = asyncio.run(apply(site, settings, check=False, interrupt_runs=False, progress=lambda _: None, **more))
    assert report.ok, report


async def collect(
    site: Site, settings: Settings, wanted: Wanted, *targets: str, enough: int = 0
) -> tuple[list[InstanceLine], list[str]]:
    found: list[InstanceLine] = []
    troubles: list[str] = []
    async with aclosing(logs(site, settings, select(site, targets), wanted, troubles.append)) as lines:
        async for line in lines:
            found.append(line)
            if enough and len(found) >= enough:
                break
    return found, troubles


def read(site: Site, settings: Settings, *targets: str, **wanted: Any) -> list[InstanceLine]:
    found, troubles = asyncio.run(collect(site, settings, Wanted(**wanted), *targets))
    assert troubles == []
    return found


def ran(
    site: Site, settings: Settings, name: str, *command: str, stdin: int | None = None, tty: bool = False
) -> tuple[int, str, str]:
    out, err = io.BytesIO(), io.BytesIO()
    (place,) = select(site, [name]).placed
    streams = Streams(out, err, stdin, tty=tty)
    code = asyncio.run(execute(site, settings, place, command, streams, call=Call("exec", who="ada")))
    return code, out.getvalue().decode(), err.getvalue().decode()


def test_logs_are_told_by_instance_stream_and_time(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [writer(f"{word}-cam1"), writer(f"{word}-cam10")]})
    applied(site, settings)
    found = read(site, settings, f"{word}-cam1")
    assert {(one.node, one.instance) for one in found} == {("node1", f"{word}-cam1")}
    assert ("begun", "stdout") in {(one.line.text, one.line.stream) for one in found}
    assert ("oh", "stderr") in {(one.line.text, one.line.stream) for one in found}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{9}Z", one.line.time) for one in found)
    assert len(read(site, settings, f"{word}-cam1", tail=3)) == 3
    assert {one.instance for one in read(site, settings, tail=1)} == {f"{word}-cam1", f"{word}-cam10"}


def test_logs_since_a_time_are_those_after_it(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    from datetime import UTC, datetime, timedelta

    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    assert read(site, settings, since=datetime.now(UTC) + timedelta(hours=1)) == []
    recent = read(site, settings, since=datetime.now(UTC) - timedelta(seconds=1))
    assert 0 < len(recent) < len(read(site, settings))


def test_logs_of_containers_before_are_kept(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    first = read(site, settings)
    applied(site, settings, force=True)
    now = read(site, settings)
    assert first[0].line.time < now[0].line.time
    everything = read(site, settings, previous=True)
    assert everything[: len(first)] != now[: len(first)]
    streams = {(one.line.text, one.line.stream) for one in everything if one.line.time < now[0].line.time}
    assert {("begun", "stdout"), ("oh", "stderr")} <= streams
    assert [one.line.text for one in everything].count("begun") == 2
    applied(make_site({"node1": []}), settings)
    assert [one.line.text for one in read(site, settings, previous=True)].count("begun") == 2


def test_only_the_last_logs_are_kept(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [{"name": f"{word}-a", "image": "tiny", "stop_grace_seconds": 0}]})
    folder = settings.logs_folder / "node1" / f"{word}-a"
    folder.mkdir(parents=True)
    for number in range(7):
        (folder / f"2020010{number}T000000.000000Z.log.gz").touch()
    applied(site, settings)
    applied(site, settings, force=True)
    assert len(kept(folder)) == 5
    assert kept(folder)[-1].name > "2021"


def test_logs_are_followed_through_a_restart(make_site: MakeSite, settings: Settings, seen: Seen, word: str) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)

    async def work() -> list[str]:
        texts: list[str] = []
        restarted = False
        found = logs(site, settings, select(site), Wanted(follow=True, tail=1), lambda _: None)
        async with asyncio.timeout(30), aclosing(found) as lines:
            async for one in lines:
                texts.append(one.line.text)
                if not restarted:
                    restarted = True
                    await operate(site, settings, "restart", select(site), Call("restart"))
                if "begun" in texts and texts[-1] == "line 3":
                    return texts
        raise AssertionError

    texts = asyncio.run(work())
    assert len([text for text in texts if text.startswith("line 3")]) <= 2
    assert texts.count("begun") == 1


def test_a_log_that_is_silent_is_followed_on_and_a_node_that_hangs_is_told(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluefleet.engine._engine._SILENCE", 0.5)
    speaks = [BASH, "-c", "for n in 1 2 3 4; do echo word $n; sleep 2; done; sleep 1000"]
    site = make_site({"node1": [{"name": f"{word}-a", "image": "tiny", "stop_grace_seconds": 0, "command": speaks}]})
    applied(site, settings)
    found, troubles = asyncio.run(collect(site, settings, Wanted(follow=True), enough=4))
    assert [one.line.text for one in found] == ["word 1", "word 2", "word 3", "word 4"]
    assert troubles == []

    away = site.model_copy(update={"nodes": [site.nodes[0].model_copy(update={"port": 1})]})

    async def until_told() -> list[str]:
        told: asyncio.Queue[str] = asyncio.Queue()

        async def follow() -> None:
            async for _ in logs(away, settings, select(away), Wanted(follow=True), told.put_nowait):
                pass

        following = asyncio.create_task(follow())
        try:
            return [await asyncio.wait_for(told.get(), 10)]
        finally:
            following.cancel()

    (trouble,) = asyncio.run(until_told())
    assert "nothing listens" in trouble


def test_an_instance_without_a_container_is_told_and_stops_no_other(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")], "node2": [writer(f"{word}-b")]})
    asyncio.run(
        apply(
            site,
            settings,
            chosen=select(site, ["node1"]),
            check=False,
            interrupt_runs=False,
            progress=lambda _: None,
        )
    )
    found, troubles = asyncio.run(collect(site, settings, Wanted(), "node1", "node2"))
    assert found
    assert len(troubles) == 1
    assert "bluefleet logs --all" in troubles[0]


def test_a_command_runs_with_its_streams_and_exit_code_and_stands_in_history(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    assert ran(site, settings, f"{word}-a", BASH, "-c", "echo out; echo err >&2; exit 7") == (7, "out\n", "err\n")
    big = ran(site, settings, f"{word}-a", BASH, "-c", "for ((i=0;i<30000;i++)); do echo 0123456789; done")
    assert (big[0], len(big[1])) == (0, 330000)
    latest = history.entries(State(settings.state_file))[0]
    assert (latest.who, latest.verb, latest.targets) == ("ada", "exec", [f"node1/{word}-a"])
    assert latest.options["command"].startswith(f"{BASH} ")


def test_a_command_reads_what_is_piped_to_its_end(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    here, there = os.pipe()
    os.write(there, b"one\ntwo\n")
    os.close(there)
    answer = ran(site, settings, f"{word}-a", BASH, "-c", 'while read x; do y="$x $y"; done; echo $y', stdin=here)
    os.close(here)
    assert answer == (0, "two one\n", "")


def test_a_terminal_there_is_as_large_as_the_one_here(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    import fcntl
    import pty
    import struct
    import termios

    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    before = termios.tcgetattr(theirs)
    # The size arrives a moment after the command has begun.
    script = (
        "shopt -s checkwinsize; for ((i=0;i<50;i++)); do (:); [[ $LINES == 33 ]] && break; sleep 0.1; done; "
        "echo $LINES $COLUMNS; [[ -t 0 ]] && echo terminal"
    )
    code, out, _ = ran(site, settings, f"{word}-a", BASH, "-c", script, stdin=theirs, tty=True)
    assert code == 0
    assert out.splitlines()[-2:] == ["33 77", "terminal"]
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)


def test_a_command_in_what_does_not_run_or_does_not_exist_is_an_error(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    with pytest.raises(NotRunning, match="does not run"):
        ran(site, settings, f"{word}-a", BASH)
    applied(site, settings)
    for program in ("/no/such/program", "nosuch"):
        with pytest.raises(ProgramNotStarted, match=f"there is no program {program} in it") as told:
            ran(site, settings, f"{word}-a", program)
        assert told.value.exit_code == 127
    ran(site, settings, f"{word}-a", BASH, "-c", "echo no program > /closed")
    with pytest.raises(ProgramNotStarted, match=r"/closed can't be run: .*permission denied") as told:
        ran(site, settings, f"{word}-a", "/closed")
    assert told.value.exit_code == 126
    # Who says the same, and was started, is heard.
    same = "echo OCI runtime exec failed: of another engine; exit 126"
    assert ran(site, settings, f"{word}-a", BASH, "-c", same) == (126, same[5:-10] + "\n", "")
    assert history.entries(State(settings.state_file))[-1].result == "failed"


def test_images_tell_where_they_are_and_what_runs_from_them(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, registry: SmallRegistry
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]}, hung=("node2",))

    def report() -> Any:
        return asyncio.run(images_report(site, settings, select(site), deadline=1.0))

    missing = report().nodes[0].images[0]
    assert (missing.present, missing.bytes, missing.wanted_by, missing.used_by) == (False, None, [f"{word}-a"], [])
    asyncio.run(
        apply(
            site, settings, chosen=select(site, ["node1"]), check=False, interrupt_runs=False, progress=lambda _: None
        )
    )
    found = report()
    assert not found.ok
    assert "no answer" in found.nodes[1].error
    (image,) = found.nodes[0].images
    assert (image.image, image.digest, image.present, image.used_by) == ("tiny", registry.digest, True, [f"{word}-a"])
    assert image.bytes


def test_status_tells_the_clock_and_who_is_at_work(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bluefleet.fleet._lock import node_lock

    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)

    async def look() -> Any:
        async with node_lock(settings.locks_folder, "node1", who="bob", verb="update", wait=0):
            return await status(site, settings, deadline=5)

    node = asyncio.run(look()).nodes[0]
    assert (node.clock_skew_seconds, node.problems) == (0.0, [])
    assert node.busy.startswith("bob (`bluefleet update`")
    here = time.time
    monkeypatch.setattr("bluefleet.engine._questions.time.time", lambda: here() + 100)
    node = asyncio.run(status(site, settings, deadline=5)).nodes[0]
    assert -101 < node.clock_skew_seconds < -98
    (problem,) = node.problems
    assert re.fullmatch(r"its clock is (99|100) s behind the manager's: look at its time service", problem)
    assert not node.ok


def test_a_disk_is_measured_when_asked_and_remembered(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)
    assert asyncio.run(status(site, settings, deadline=5)).nodes[0].disk is None
    # This image has no `stat`: nothing is known, and nothing is wrong.
    assert asyncio.run(status(site, settings, deadline=5, measure_disks=True)).nodes[0].disk is None
    monkeypatch.setattr(disk, "_ASK", (BASH, "-c", "echo 100 100000 4096"))
    measured = asyncio.run(status(site, settings, deadline=5, measure_disks=True)).nodes[0]
    assert (measured.disk.free, measured.disk.total) == (409600, 409600000)
    assert measured.problems == ["its disk is nearly full: 0.0 of 0 GB free"]
    assert asyncio.run(status(site, settings, deadline=5)).nodes[0].disk == measured.disk


def test_a_stop_command_that_hangs_is_no_fault_of_the_engine(
    make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    from bluefleet.engine import Engine, ExecTimeout
    from bluefleet.fleet import endpoint

    site = make_site({"node1": [writer(f"{word}-a")]})
    applied(site, settings)

    async def work() -> None:
        async with Engine(endpoint(site.nodes[0], settings)) as engine:
            with pytest.raises(ExecTimeout):
                await engine.execute(f"bluefleet-{word}-a", [BASH, "-c", "sleep 9"], within=0.5)
            assert (await engine.execute(f"bluefleet-{word}-a", [BASH, "-c", "echo ok"], within=5)).stdout == b"ok\n"
            with pytest.raises(EngineError):
                await engine.execute("nobody", ["true"], within=5)

    asyncio.run(work())
    assert docker("ps", "-q", "--filter", f"name=bluefleet-{word}-a")
    assert Path(settings.state_file).exists()
