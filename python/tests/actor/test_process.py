"""The actor's process, and what it answers to what no well-meaning client sends."""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import bluefleet
from actor_process import ActorProcess, JsonClient
from bluefleet.actor import pid_file
from bluefleet.fleet import Settings
from bluefleet.model import Site
from patience import PATIENCE

pytestmark = pytest.mark.slow

SITE = Site.model_validate(
    {"schema_version": 1, "site": "hill", "hosts": {}, "registry": None, "images": {}, "nodes": []}
)


@pytest.fixture
def actor(tmp_path: Path) -> Iterator[ActorProcess]:
    found = ActorProcess(Settings(etc=tmp_path / "etc", lib=tmp_path / "lib"), SITE)
    found.declare()
    yield found
    found.stop()
    found.say("stop")


def test_it_starts_detached_says_that_it_runs_restarts_and_ends(actor: ActorProcess, tmp_path: Path) -> None:
    assert actor.say("status").returncode == 1
    log = tmp_path / "actor.log"
    begun = actor.say("start", "--log", str(log))
    assert (begun.returncode, f"127.0.0.1:{actor.port}" in begun.stderr) == (0, True), begun.stderr
    told = json.loads(actor.say("status", "--json").stdout)
    assert (told["ok"], told["actor"]["port"], told["actor"]["supervised"]) == (True, actor.port, False)
    first = told["actor"]["pid"]
    assert int(pid_file(actor.settings).read_text().splitlines()[0]) == first
    assert os.getsid(first) != os.getsid(0)
    assert "runs already" in actor.say("start").stderr
    # What the one that runs would not do is not passed over in silence.
    for option in (["--debug"], ["--log", str(log)], ["-c", str(actor.settings.etc / "actor.yml")]):
        other = actor.say("start", *option)
        assert (other.returncode, "`bluefleet actor restart` takes them" in other.stderr) == (2, True), other.stderr

    again = actor.say("restart", "--log", str(log))
    assert again.returncode == 0, again.stderr
    second = json.loads(actor.say("status", "--json").stdout)["actor"]["pid"]
    assert second != first
    ended = actor.say("stop")
    assert (ended.returncode, f"process {second}" in ended.stderr) == (0, True)
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.1", actor.port)):
        pass
    assert (actor.say("status").returncode, actor.say("stop").returncode) == (1, 0)
    assert "Traceback" not in log.read_text()


def test_what_a_killed_actor_left_is_in_nobodys_way(actor: ActorProcess) -> None:
    actor.start()
    actor.stop(signal.SIGKILL)
    assert pid_file(actor.settings).read_text()
    assert actor.say("status").returncode == 1
    actor.start()
    assert actor.stop() == 0


def test_a_port_that_is_taken_is_told_in_words(actor: ActorProcess) -> None:
    with socket.create_server(("127.0.0.1", actor.port)):
        for words in (["start"], ["start", "--debug"]):
            said = actor.say(*words)
            assert said.returncode == 1
            assert "Address already in use" in said.stderr or "address already in use" in said.stderr
            assert "Traceback" not in said.stderr


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("actor: {host: 0.0.0.0}", "loopback"),
        ("actor: {tron_host: hub}", "actor.tron_host"),
        ("actor: {}\nregistry: x:5000", "one key, `actor`"),
        ("actor: [", "no YAML"),
        ("- actor", "one key, `actor`"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(actor: ActorProcess, content: str, words: str) -> None:
    file = actor.settings.etc / "mine.yml"
    file.write_text(content)
    said = actor.say("start", "-c", str(file))
    assert (said.returncode, words in said.stderr, str(file) in said.stderr) == (2, True, True), said.stderr


def test_a_pid_file_of_somebody_else_is_believed_by_nobody(actor: ActorProcess) -> None:
    file = pid_file(actor.settings)
    file.write_text(f"{os.getpid()}\n")
    os.chown(file, 64199, 64199)
    said = actor.say("stop")
    assert (said.returncode, "belongs to user 64199" in said.stderr) == (2, True)
    file.unlink()


def test_what_systemd_looks_after_is_not_ended_behind_its_back(actor: ActorProcess, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        process = subprocess.Popen(
            [sys.executable, "-c", "from bluefleet.cli import main; main()", "actor", "start", "--debug"],
            env={**actor.environment, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            stderr=subprocess.DEVNULL,
        )
        assert manager.recv(100) == b"READY=1"
        said = actor.say("stop")
        assert (said.returncode, "systemctl stop bluefleet-actor" in said.stderr) == (2, True)
        said = actor.say("restart", "--debug", "--log", str(tmp_path / "actor.log"))
        assert (said.returncode, "not with --debug and --log" in said.stderr) == (2, True), said.stderr
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert process.wait(20) == 0


def test_what_can_not_be_parsed_is_answered_and_the_connection_goes_on(actor: ActorProcess) -> None:
    actor.start()
    link = JsonClient(actor.port)
    for command in (
        "status 'unclosed",
        "no-such-command",
        "reboot --gently",
        "talk --deadline -1 ping",
        "help nothing",
        "keyword no",
    ):
        assert link.told(command)[-1][0] == "f", command
    assert link.told("ping")[-1] == (":", {"text": "Pong."})
    assert link.told("version")[-1] == (":", {"version": bluefleet.__version__})
    assert any("reconnect" in line for line in link.told("help")[-1][1]["help"])
    assert "enabledNodes" in json.loads(link.told("get_schema")[-1][1]["schema"])["properties"]
    link.close()


def test_a_line_without_an_end_and_bytes_that_are_no_text_cost_nobody_else_anything(actor: ActorProcess) -> None:
    actor.start()
    with socket.create_connection(("127.0.0.1", actor.port), timeout=10) as odd:
        odd.sendall(b"1 \xff\xfe\n")
        assert b"UTF-8" in odd.recv(4096)
        odd.sendall(b"x" * 200_000)
        assert b"at most 65536 bytes" in odd.recv(4096)
    link = JsonClient(actor.port)
    assert link.told("ping")[-1][0] == ":"
    link.close()
    actor.stop()
    assert "Traceback" not in actor.log


def test_a_user_who_may_not_use_the_command_is_refused(actor: ActorProcess) -> None:
    actor.start()
    nobody = pwd.getpwnam("nobody")
    code = (
        "import encodings.idna, os, socket;"
        f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid});"
        f"s = socket.create_connection(('127.0.0.1', {actor.port}), timeout=10);"
        "s.sendall(b'1 status\\n');"
        "print(s.makefile().read())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20 * PATIENCE, check=True
    ).stdout
    assert "nobody is no member of group bluefleet" in said
    assert "enabledNodes" not in said


def test_a_command_that_goes_on_when_the_actor_ends_fails_and_says_so(actor: ActorProcess) -> None:
    silent = socket.create_server(("127.0.0.1", 0))
    node = {
        "name": "node1",
        "address": "127.0.0.1",
        "port": silent.getsockname()[1],
        "transport": "plain",
        "instances": [],
    }
    content = {**SITE.model_dump(), "nodes": [node], "hosts": {"node1": {"address": "127.0.0.1", "groups": ["nodes"]}}}
    actor.site = Site.model_validate(content)
    actor.options["node_seconds"] = 30
    actor.start()
    link = JsonClient(actor.port)
    number = link.send("status")
    # The engine was asked, so the command goes on.
    asking, _ = silent.accept()
    begun = time.monotonic()
    assert actor.stop() == 0
    assert time.monotonic() - begun < 10
    assert link.replies(number)[-1]["header"]["message_code"] == "f"
    link.close()
    asking.close()
    silent.close()


def test_a_status_is_told_to_everybody_now_and_then(actor: ActorProcess) -> None:
    actor.options["status_every_seconds"] = 1
    actor.start()
    link = JsonClient(actor.port)
    codes: list[str] = []
    while codes.count(":") < 2:
        codes += [reply["header"]["message_code"] for reply in link.replies(0)]
    assert "f" not in codes
    link.close()


def test_the_version_is_that_of_the_package() -> None:
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    assert tomllib.loads(project.read_text())["project"]["version"] == bluefleet.__version__


def test_what_a_person_names_through_sudo_is_no_file_of_the_fleets_own(actor: ActorProcess, tmp_path: Path) -> None:
    somebody = {"SUDO_UID": str(os.getuid() + 1)}
    secret = actor.settings.etc / "key"
    secret.write_text("actor: {name: secret}")
    secret.chmod(0o400)
    link = tmp_path / "link"
    link.symlink_to(actor.settings.lib)
    for option, words in (
        (["-c", str(secret)], "neither yours nor for everybody to read"),
        (["--log", str(actor.settings.lib / "fleet" / "new.log")], "the fleet keeps its own files there"),
        (["--log", str(link / "new.log")], "the fleet keeps its own files there"),
    ):
        said = actor.say("start", *option, **somebody)
        assert (said.returncode, words in said.stderr, "secret" in said.stderr) == (2, True, False), said.stderr
    assert not (actor.settings.lib / "new.log").exists()
    secret.chmod(0o644)
    secret.write_text(actor.config.read_text())
    log = tmp_path / "actor.log"
    begun = actor.say("start", "-c", str(secret), "--log", str(log), **somebody)
    assert begun.returncode == 0, begun.stderr
    # One that may not go there ends none that runs.
    refused = actor.say("restart", "--log", str(actor.settings.etc / "new.log"), **somebody)
    assert refused.returncode == 2
    assert actor.say("status").returncode == 0
    assert actor.say("stop").returncode == 0
