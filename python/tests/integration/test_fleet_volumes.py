"""Volumes against this machine's own engine: in memory, of the engine, and what becomes of one of a file server."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from bluefleet.fleet import ApplyReport, Settings, apply
from bluefleet.model import Site
from real_engine import MakeSite, Seen, docker

MOUNTED = 'while read -r line; do [[ $line == *" /there "* ]] && echo "$line"; done < /proc/mounts; true'


@pytest.fixture(autouse=True)
def volume(word: str) -> Iterator[str]:
    """A name for a volume, which is removed after the test."""
    found = f"{word}-frames"
    yield found
    docker("volume", "rm", "--force", found)


def instance(name: str, volume: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "image": "tiny", "stop_grace_seconds": 0, "volumes": [{"target": "/there", **volume}]}


def applied(site: Site, settings: Settings) -> ApplyReport:
    return asyncio.run(apply(site, settings, check=False, interrupt_runs=False, progress=lambda _: None))


def said(name: str, script: str) -> str:
    return docker("exec", f"bluefleet-{name}", "/bin/bash", "-c", script)


def test_a_volume_in_memory_is_as_large_as_declared(
    volume: str, make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    site = make_site({"node1": [instance(word, {"tmpfs": {"size": "64m"}})]})
    assert applied(site, settings).ok
    line = said(word, MOUNTED).split()
    assert line[2] == "tmpfs"
    assert "size=65536k" in line[3]
    assert applied(site, settings).changed is False

    larger = make_site({"node1": [instance(word, {"tmpfs": {"size": "128m"}})]})
    assert applied(larger, settings).nodes[0].steps[0].reason == "spec changed"
    assert "size=131072k" in said(word, MOUNTED)


def test_what_is_in_a_volume_of_the_engine_outlives_the_container(
    volume: str, make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    assert applied(make_site({"node1": [instance(word, {"source": volume})]}), settings).ok
    said(word, "echo kept > /there/frame")
    again = instance(word, {"source": volume}) | {"environment": {"A": "1"}}
    assert applied(make_site({"node1": [again]}), settings).changed
    assert said(word, "echo $(< /there/frame)") == "kept"


def test_a_volume_that_was_made_otherwise_is_refused_before_anything_stops(
    volume: str, make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    applied(make_site({"node1": [instance(word, {"tmpfs": {"size": "1m"}})]}), settings)
    before = seen.ids()
    docker("volume", "create", "--opt", "type=nfs", "--opt", "o=addr=10.0.0.8,hard", "--opt", "device=:/old", volume)
    nfs = {"server": "10.0.0.9", "path": "/new", "options": "hard"}
    report = applied(make_site({"node1": [instance(word, {"source": volume, "nfs": nfs})]}), settings)
    (step,) = report.nodes[0].steps
    assert (report.ok, step.outcome) == (False, "failed")
    assert "is there with other options: device=:/old o=addr=10.0.0.8,hard type=nfs" in step.detail
    assert f"docker volume rm {volume}" in step.detail
    assert seen.ids() == before


def test_the_volume_of_a_file_server_is_made_with_its_options(
    volume: str, make_site: MakeSite, settings: Settings, seen: Seen, word: str
) -> None:
    # Nothing serves files there: the engine says so when it starts the container, at once.
    nfs = {"server": "127.0.0.1", "path": "/export", "options": "nfsvers=3,nolock,soft,timeo=1,retrans=0,port=9"}
    report = applied(make_site({"node1": [instance(word, {"source": volume, "nfs": nfs})]}), settings)
    assert report.nodes[0].steps[0].outcome == "failed"
    made = docker("volume", "inspect", volume, "--format", "{{json .Options}} {{json .Labels}}")
    assert '"o":"addr=127.0.0.1,nfsvers=3,nolock,soft,timeo=1,retrans=0,port=9"' in made
    assert f'"org.bluefleet.site":"{word}"' in made
