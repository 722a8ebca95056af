"""The actor in front of this machine's own engine, asked by plain clients as those of an observatory are."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clu.device import Device

from actor_process import ActorProcess, JsonClient, LegacyClient
from bluefleet.fleet import Overrides, Settings, State, history
from bluefleet.model import Site
from camera_process import CameraProcess, Client
from machine import Machine, PowerUnit
from real_engine import MakeSite, Seen, docker
from tls_front import Fronts

Act = Callable[..., ActorProcess]

pytestmark = pytest.mark.slow


def sleeper(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "tiny", "stop_grace_seconds": 1, **more}


@pytest.fixture
def act(settings: Settings) -> Iterator[Act]:
    made: list[ActorProcess] = []

    def start(site: Site, **options: object) -> ActorProcess:
        made.append(ActorProcess(settings, site, options).start())
        return made[-1]

    yield start
    for one in made:
        one.stop()


@pytest.fixture
def client() -> Iterator[Callable[[ActorProcess], JsonClient]]:
    clients: list[JsonClient] = []

    def dial(actor: ActorProcess) -> JsonClient:
        clients.append(JsonClient(actor.port))
        return clients[-1]

    yield dial
    for one in clients:
        one.close()


def of(replies: list[tuple[str, dict[str, Any]]], keyword: str) -> list[Any]:
    return [keywords[keyword] for _, keywords in replies if keyword in keywords]


def end(replies: list[tuple[str, dict[str, Any]]]) -> tuple[str, str]:
    code, keywords = replies[-1]
    assert [code for code, _ in replies].count(":") + [code for code, _ in replies].count("f") == 1
    return code, str(keywords.get("error", ""))


@pytest.fixture
def frames(word: str, registry: object) -> Iterator[str]:
    """The name of a volume; what was made of it is removed, after the containers that have it."""
    del registry
    yield f"{word}-frames"
    if docker("volume", "ls", "--quiet", "--filter", f"name={word}-frames"):
        docker("volume", "rm", f"{word}-frames")


def test_status_and_reconnect_speak_of_nodes_containers_and_volumes(
    make_site: MakeSite, act: Act, client: Any, frames: str, seen: Seen
) -> None:
    word = seen.site
    volumes = [{"source": frames, "target": "/frames"}, {"source": "/tmp", "target": "/host"}]
    site = make_site({"node1": [sleeper(f"{word}-a", volumes=volumes)]}, hung=("node10",))
    actor = act(site, node_seconds=1)
    link = client(actor)
    first, hung = site.nodes

    before = link.told("status")
    assert end(before) == (":", "")
    assert of(before, "enabledNodes") == [["node1", "node10"]]
    assert of(before, "node") == [
        ["node1", first.address, f"tcp://{first.address}:{first.port}", True, True],
        ["node10", hung.address, f"tcp://{hung.address}:{hung.port}", True, False],
    ]
    assert of(before, "container") == [["node1", "NA"]]
    assert of(before, "volume") == [["node1", frames, False, "NA"], ["node1", "/tmp", False, "NA"]]
    warned = " ".join(of(before, "text"))
    assert f"No containers running on {first.address}." in warned
    assert f"Docker client on node {hung.address} is not connected" in warned

    done = link.told("reconnect --names node1")
    assert end(done) == (":", "")
    (identity,) = seen.ids().values()
    assert of(done, "container") == [["node1", identity[:12]]]
    assert of(done, "instance") == [["node1", f"{word}-a", "running", "NA"]]
    assert of(done, "volume") == [["node1", frames, True, "NA"], ["node1", "/tmp", True, "/tmp"]]

    # What is as it should be is left alone; --force makes it anew.
    assert end(link.told("reconnect -n node1")) == (":", "")
    assert [*seen.ids().values()] == [identity]
    assert end(link.told("reconnect -n node1 -f")) == (":", "")
    assert [*seen.ids().values()] != [identity]

    begin = time.monotonic()
    code, error = end(link.told("reconnect"))
    assert time.monotonic() - begin < 20
    assert code == "f"
    assert "node10 (" in error
    assert "node1 (" not in error
    told = [(entry.verb, entry.who) for entry in history.entries(State(actor.settings.state_file))]
    assert told == [("apply", "root")] * 4


def test_names_are_compared_whole_and_unknown_ones_are_an_error_that_lists_what_exists(
    make_site: MakeSite, act: Act, client: Any, settings: Settings, seen: Seen
) -> None:
    word = seen.site
    cam1, cam10 = f"{word}-cam1", f"{word}-cam10"
    site = make_site({"node1": [sleeper(cam1), sleeper(cam10)], "node10": []})
    link = client(act(site))
    assert end(link.told(f"reconnect -n {cam1}"))[0] == ":"
    assert set(seen.ids()) == {f"bluefleet-{cam1}"}

    assert end(link.told("disable node1 --reason dust")) == (":", "")
    assert of(link.told("status"), "enabledNodes") == [["node10"]]
    for command in (f"reconnect -n {word}-cam", "disable node", "enable node1 nod", "talk status -n nothing"):
        code, error = end(link.told(command))
        assert code == "f", command
        assert f"Nodes are node1, node10; instances are node1/{cam1}, node1/{cam10}" in error
    code, error = end(link.told("reconnect -n node1"))
    assert (code, "node1 is disabled by root" in error, "dust" in error) == ("f", True, True)
    assert [one.reason for one in Overrides.now(State(settings.state_file)).all] == ["dust"]

    enabled = link.told("enable --all")
    assert of(enabled, "enabledNodes") == [["node1", "node10"]]
    assert end(link.told("enable"))[1] == "Name nodes, or say --all"


def test_a_disabled_node_stays_disabled_when_the_actor_starts_again(
    make_site: MakeSite, act: Act, client: Any, settings: Settings, word: str
) -> None:
    actor = act(make_site({"node1": [], "node2": []}))
    assert end(client(actor).told("disable node2")) == (":", "")
    assert actor.stop() == 0
    actor.start()
    assert of(client(actor).told("status"), "enabledNodes") == [["node1"]]


@pytest.fixture
def cameras(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[CameraProcess]]:
    processes = [
        CameraProcess(tmp_path_factory.mktemp(name), name=name, prefix=f"{name}:").start() for name in ("cam1", "cam10")
    ]
    yield processes
    for process in processes:
        process.stop()


def with_cameras(make_site: MakeSite, cameras: list[CameraProcess]) -> Site:
    """Two nodes with a camera each, which run beside their engine."""
    site = make_site({"node1": [sleeper("cam1")], "node2": [sleeper("cam10")]})
    content = json.loads(site.model_dump_json(by_alias=True))
    for node, camera in zip(content["nodes"], cameras, strict=True):
        node["address"] = "127.0.0.1"
        node["instances"][0] |= {"actor": {"port": camera.actor_port}, "categories": ["gfa"]}
    return Site.model_validate(content)


def test_talk_passes_on_every_keyword_with_its_sender_and_bundles_the_filenames(
    make_site: MakeSite, act: Act, client: Any, cameras: list[CameraProcess]
) -> None:
    link = client(act(with_cameras(make_site, cameras)))
    told = link.told("talk expose 0.05 --series night")
    assert end(told) == (":", "")
    frames = {camera.name: str(camera.frames / "night/000000.h5") for camera in cameras}
    assert sorted(of(told, "filename")) == [[name, frames[name]] for name in sorted(frames)]
    (bundle,) = of(told, "filename_bundle")
    assert sorted(bundle) == sorted(frames.values())
    assert of(link.told("talk ping --names cam1"), "text") == [["cam1", "Pong."]]
    assert of(link.told("talk ping -c gfa"), "text") == [["cam1", "Pong."], ["cam10", "Pong."]]
    assert any("expose" in str(line) for line in of(link.told("talk help -n cam1"), "help"))


def test_talk_that_fails_at_one_fails_and_says_which_and_one_that_dies_ends_it(
    make_site: MakeSite, act: Act, client: Any, cameras: list[CameraProcess]
) -> None:
    link = client(act(with_cameras(make_site, cameras)))
    told = link.told("talk set temperature 900")
    code, error = end(told)
    assert code == "f"
    assert "cam1 (failed: 900 °C" in error
    assert "cam10 (failed: 900 °C" in error

    cameras[1].stop()
    begin = time.monotonic()
    told = link.told("talk ping --deadline 5")
    code, error = end(told)
    assert time.monotonic() - begin < 6
    assert code == "f"
    assert "cam10 (unreachable" in error
    assert "cam1 (" not in error
    assert ["cam1", "Pong."] in of(told, "text")

    cameras[1].start()
    deadline = time.monotonic() + 15
    while end(link.told("talk ping"))[0] != ":":
        assert time.monotonic() < deadline, "it is not dialled again"
        time.sleep(0.2)


def test_a_camera_that_is_killed_in_an_exposure_ends_talk_with_an_error_for_that_one(
    make_site: MakeSite, act: Act, client: Any, cameras: list[CameraProcess]
) -> None:
    link = client(act(with_cameras(make_site, cameras)))
    watcher = Client(cameras[1].actor_port)
    number = link.send("talk expose 2")
    while watcher.ask("status")[1]["exposure_state"]["state"] != "exposing":
        time.sleep(0.05)
    watcher.close()
    cameras[1].stop(signal.SIGKILL)
    told = [
        (reply["header"]["message_code"], reply["data"])
        for reply in link.replies(number)
        if reply["header"]["command_id"] == number
    ]
    code, error = end(told)
    assert code == "f"
    assert "cam10 (lost" in error
    assert "cam1 (" not in error
    assert [name for name, _ in of(told, "filename")] == ["cam1"]
    cameras[1].start()


def test_a_broadcast_of_an_instance_is_told_to_every_client(
    make_site: MakeSite, act: Act, client: Any, cameras: list[CameraProcess]
) -> None:
    actor = act(with_cameras(make_site, cameras))
    speaks, listens = client(actor), client(actor)
    listens.told("ping")
    assert end(speaks.told("talk expose 0 -n cam1"))[0] == ":"
    heard = listens.replies(None)[-1]
    assert heard["data"]["exposure_state"][0] == "cam1"


def test_a_command_ends_when_its_deadline_is_over(
    make_site: MakeSite, act: Act, client: Any, seen: Seen, word: str
) -> None:
    slow = ["/bin/bash", "-c", "trap '' TERM; while :; do sleep 0.1; done"]
    site = make_site({"node1": [sleeper(f"{word}-a", command=slow, stop_grace_seconds=30)]})
    link = client(act(site, reconnect_seconds=3, node_seconds=1))
    assert end(link.told("reconnect"))[0] in ":f"
    begin = time.monotonic()
    code, error = end(link.told("reconnect --force"))
    assert time.monotonic() - begin < 12
    assert (code, "node1 (not done within 3 s" in error) == ("f", True)


def test_the_legacy_wire_is_that_of_older_clients(
    make_site: MakeSite, act: Act, cameras: list[CameraProcess], word: str
) -> None:
    site = with_cameras(make_site, cameras)
    actor = act(site, wire="legacy", name="fliswarm")
    link = LegacyClient(actor.port)
    greeting = link.greeting()
    assert greeting[0] == "1 0 i yourUserID=1; num_users=1"
    assert greeting[1] == "0 0 i UserInfo=1,127.0.0.1"
    told = link.told("status")
    assert told[0] == (">", "")
    assert told[-1] == (":", "")
    assert ("i", "enabledNodes=node1,node2") in told
    node = site.nodes[0]
    assert ("i", f"node=node1,127.0.0.1,tcp://127.0.0.1:{node.port},T,F") in told
    pong = link.told("talk ping")
    assert [text for code, text in pong if code == "i"] == ["text=cam1,Pong.", "text=cam10,Pong."]
    failed = link.told("talk set temperature 900")
    assert failed[-1][0] == "f"
    assert failed[-1][1].startswith("error=\"'set temperature 900' did not succeed at cam1")
    assert link.told("status --nonsense")[-1][0] == "f"
    assert link.told("ping") == [(">", ""), (":", "text=Pong.")]
    link.close()


def test_a_reboot_is_by_power_waits_until_the_node_is_back_and_ends(
    make_site: MakeSite, act: Act, client: Any, tmp_path: Path
) -> None:
    machine = Machine(tmp_path / "m")
    machine.on()
    unit, fronts = PowerUnit(machine, "a token"), Fronts(str(machine.socket))
    try:
        front = fronts.engine("127.0.0.11", tmp_path / "ca" / "server", tmp_path / "ca" / "engines.crt")
        (tmp_path / "token").write_text("a token\n")
        content = json.loads(make_site({"node1": [], "node10": []}).model_dump_json(by_alias=True))
        power = {"http": {"url": unit.url, "token_file": str(tmp_path / "token")}, "off_seconds": 0}
        content["nodes"][0] |= {"address": front.address, "port": front.port, "power": power}
        link = client(act(Site.model_validate(content)))
        # Without names all are meant; this manager has no key for them.
        code, error = end(link.told("reboot"))
        assert (code, error.count("run site.yml")) == ("f", 2)
        assert "node10 (no power driver is declared for it)" in end(link.told("reboot -n node10 --hard"))[1]
        told = link.told("reboot -n node1 --hard")
        assert (end(told), unit.calls) == ((":", ""), ["off", "on"])
        assert of(told, "node")[0][3:] == [True, True]
        unit.broken = {"off"}
        code, error = end(link.told("reboot -n node1 --hard"))
        assert (code, unit.calls, "node1 (" in error) == ("f", ["off", "on", "off"], True)
    finally:
        unit.close()
        fronts.close()
        machine.off()


def test_a_client_of_clu_is_answered(make_site: MakeSite, act: Act) -> None:
    actor = act(make_site({"node1": []}))

    async def ask() -> list[dict[str, Any]]:
        lines: asyncio.Queue[str] = asyncio.Queue()
        device = Device("127.0.0.1", actor.port, callback=lines.put)
        await device.start()
        device.write("7 status")
        found: list[dict[str, Any]] = []
        while not found or found[-1]["header"]["message_code"] not in ":f":
            found.append(json.loads(await asyncio.wait_for(lines.get(), 10)))
        await device.stop()
        return found

    replies = asyncio.run(ask())
    assert {reply["header"]["command_id"] for reply in replies} == {7}
    assert {reply["header"]["sender"] for reply in replies} == {"bluefleet"}
    assert replies[-1]["header"]["message_code"] == ":"
