"""The other doors to the fleet of the laboratory that is up: the actor, tasks of fabric, the API at the edge."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from lab_door import ADDRESSES, BIN, LAB, ROOT, assert_all_is_well, bluefleet, on, pushed_trial, shell, trust

from bluefleet import __version__
from bluefleet.checkout import find_checkout, find_inventory
from bluefleet.cli.remote import ssh_arguments
from bluefleet.inventory import Connection, render
from patience import PATIENCE, ends_in

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

ENDS = ":f"


class ActorThroughSsh:
    """A plain client: lines to and from the actor's port, which ssh forwards."""

    def __init__(self, manager: Connection) -> None:
        command = [*ssh_arguments(manager), "-o", "BatchMode=yes", "-W", "127.0.0.1:19996", manager.address]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self._number = 0

    def told(self, command: str) -> list[tuple[str, dict[str, Any]]]:
        """Code and keywords of every reply to a command, to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._number += 1
        self._process.stdin.write(f"{self._number} {command}\n")
        self._process.stdin.flush()
        found: list[tuple[str, dict[str, Any]]] = []
        while not found or found[-1][0] not in ENDS:
            line = self._process.stdout.readline()
            assert line, f"the actor closed the connection: {found}"
            reply = json.loads(line)
            if str(reply["header"]["command_id"]) == str(self._number):
                found.append((reply["header"]["message_code"], reply["data"]))
        return found

    def close(self) -> None:
        """End ssh."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def manager() -> Connection:
    return render(find_inventory(), find_checkout()).control.connections["manager"]


@pytest.fixture
def actor(manager: Connection) -> Iterator[ActorThroughSsh]:
    found = ActorThroughSsh(manager)
    yield found
    found.close()


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    """The fleet service behind the edge."""
    fleet = json.loads(bluefleet("site", "--json").stdout)["fleet"]
    with open(fleet["token_file"], encoding="utf-8") as file:  # noqa: PTH123  # the path comes as text
        token = file.read().strip()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(
        base_url=fleet["url"], headers=headers, verify=trust(), trust_env=False, timeout=60 * PATIENCE
    ) as client:
        yield client


def fab(*words: str) -> str:
    """A task of fabric, as typed; what it printed."""
    return shell(str(BIN / "fab"), *words, seconds=180).stdout


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 90) -> None:
    """Return when it is so."""
    end = ends_in(seconds)
    while not holds():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.5)


def instance(name: str) -> dict[str, Any]:
    """What status tells of one instance."""
    status = json.loads(bluefleet("status", name, "--json").stdout)
    (found,) = [one for node in status["nodes"] for one in node["instances"]]
    return dict(found)


def test_a_plain_client_asks_the_actor_for_the_state_of_all_nodes(actor: ActorThroughSsh) -> None:
    replies = actor.told("status")
    assert replies[-1][0] == ":"
    told = [keywords for _, keywords in replies]
    assert [keywords["enabledNodes"] for keywords in told if "enabledNodes" in keywords] == [["node1", "node2"]]
    nodes = [keywords["node"] for keywords in told if "node" in keywords]
    assert [(name, host, engine) for name, _, _, host, engine in nodes] == [
        ("node1", True, True),
        ("node2", True, True),
    ]
    assert {"cam1", "cam2", "thermo"} <= {keywords["instance"][1] for keywords in told if "instance" in keywords}


def test_the_actor_passes_commands_on_to_cameras_and_its_marks_are_seen_by_the_command(actor: ActorThroughSsh) -> None:
    replies = actor.told("talk status --names cam1,cam2")
    assert replies[-1][0] == ":", replies
    assert any(keywords.get("temperature", [""])[0] == "cam2" for _, keywords in replies), replies
    assert actor.told("disable node2 --reason dust")[-1][0] == ":"
    try:
        assert actor.told("talk status --names cam2")[-1][0] == "f"
        assert "dust" in bluefleet("status").stdout
    finally:
        assert actor.told("enable node2")[-1][0] == ":"
    assert_all_is_well()


def test_the_actor_says_what_it_is_and_makes_an_instance_anew_when_that_is_forced(actor: ActorThroughSsh) -> None:
    assert actor.told("ping")[-1] == (":", {"text": "Pong."})
    assert actor.told("version")[-1] == (":", {"version": __version__})
    assert any("reconnect" in line for line in actor.told("help")[-1][1]["help"])
    before = instance("thermo")["container"]
    assert actor.told("reconnect --names thermo")[-1][0] == ":"
    assert instance("thermo")["container"] == before
    replies = actor.told("reconnect --names thermo --force")
    assert replies[-1][0] == ":", replies
    after = instance("thermo")["container"]
    assert after != before
    assert ["node2", after[:12]] in [keywords["container"] for _, keywords in replies if "container" in keywords]
    assert_all_is_well()


def test_tasks_of_fabric_see_and_restart_what_the_command_does() -> None:
    assert "2 nodes, all well" in fab("-H", "manager", "status")
    before = instance("thermo")["uptime_seconds"]
    fab("-H", "node2", "restart", "thermo", "--reason", "by a task")
    assert instance("thermo")["uptime_seconds"] < before
    written = fab("-H", "manager", "logs", "--targets", "thermo,cam2", "--since", "5m")
    assert "node2/thermo | " in written
    assert "node2/cam2 | " in written
    assert_all_is_well()


def test_a_support_bundle_has_what_its_page_says_and_no_secret(tmp_path: Path) -> None:
    file = Path(fab("-H", "manager", "collect", "--into", str(tmp_path)).strip().splitlines()[-1])
    with tarfile.open(file) as bundle:
        texts = {
            member.name.partition("/")[2]: bundle.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in bundle
        }
    assert texts.pop("troubles.txt") == ""
    found = {name: json.loads(text) for name, text in texts.items() if name.endswith(".json")}
    assert [node["name"] for node in found["fleet/status.json"]["nodes"]] == ["node1", "node2"]
    assert found["fleet/plan.json"]["changed"] is False
    assert found["fleet/devices.json"]["devices"]
    assert found["fleet/history.json"]["entries"]
    assert all(node["images"] for node in found["fleet/images.json"]["nodes"])
    assert "node2/thermo | " in texts["fleet/logs.txt"]
    assert yaml.safe_load(texts["site.yml"])["site"]
    assert {"control/checkout.txt", "control/ansible.txt"} < set(texts)
    for host in ADDRESSES:
        seen = texts[f"hosts/{host}.txt"]
        for words in ("docker version", "docker ps", "systemctl list-units", "journalctl"):
            assert re.search(rf"^== .*{words}", seen, re.MULTILINE), f"{host}: {words}"
        assert "bluefleet" in seen
    everything = "".join(texts.values())
    for secret in (LAB / ".state" / "secrets").iterdir():
        value = secret.read_text().strip() if secret.is_file() else ""
        assert not value or value not in everything, secret.name


def test_an_image_is_pushed_tried_on_one_instance_and_taken_back() -> None:
    first = instance("thermo")["digest"]
    try:
        with pushed_trial() as reference:
            updated = bluefleet("update", "thermo", "--image", f"ioc={reference}", "--reason", "a trial")
            assert updated.returncode == 0, updated.stdout + updated.stderr
            assert instance("thermo")["digest"] == reference.partition("@")[2] != first
            back = bluefleet("rollback", "thermo", "--reason", "the trial is over")
            assert back.returncode == 0, back.stdout + back.stderr
            assert instance("thermo")["digest"] == first
    finally:
        bluefleet("clear", "thermo")
        bluefleet("apply")
    assert_all_is_well()
    verbs = [entry["verb"] for entry in json.loads(bluefleet("history", "--json").stdout)["entries"]]
    assert {"update", "rollback"} <= set(verbs)


def test_what_dies_is_brought_back_by_the_service_and_what_is_stopped_is_not(api: httpx.Client) -> None:
    on("node2", "docker kill bluefleet-thermo")
    wait_for(lambda: instance("thermo")["health"] == "healthy", "thermo is healthy again")
    entries = api.get("history", params={"limit": 20}).raise_for_status().json()["entries"]
    assert any(entry["who"] == "fleet service" and "thermo" in str(entry) for entry in entries), entries

    stopped = api.post("stop", json={"who": "ada", "targets": ["thermo"], "reason": "a drill"}).raise_for_status()
    assert stopped.json()["ok"] is True
    try:
        assert instance("thermo")["state"] == "exited"
        # It looks at every node again, and leaves alone what is meant to be so.
        assert api.get("status", params={"fresh": True}).raise_for_status().json()["ok"] is True
        assert instance("thermo")["state"] == "exited"
    finally:
        assert api.post("start", json={"who": "ada", "targets": ["thermo"]}).raise_for_status().json()["ok"] is True
    assert_all_is_well()


def test_the_api_is_closed_to_who_has_no_token_and_says_what_it_can(api: httpx.Client) -> None:
    for headers in ({}, {"Authorization": "Bearer guess"}):
        answer = httpx.get(
            f"{api.base_url}status", headers=headers, verify=trust(), trust_env=False, timeout=20 * PATIENCE
        )
        assert answer.status_code == 401
        assert {"what", "where", "remedy"} <= set(answer.json()["error"])
    kept = json.loads((ROOT / "docs" / "reference" / "fleet-api.json").read_text())
    assert api.get("openapi.json").raise_for_status().json()["paths"].keys() == kept["paths"].keys()
    assert "bluefleet_nodes_unreachable 0.0" in api.get("metrics").raise_for_status().text


def test_the_check_up_of_a_site_that_is_well_finds_nothing() -> None:
    found = bluefleet("doctor")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "0 failed, 0 to look at" in found.stdout + found.stderr


def test_the_services_of_the_manager_are_supervised_and_start_anew_only_for_a_reason() -> None:
    units = "bluefleet-fleet.service bluefleet-actor.service"
    assert on("manager", f"systemctl is-active {units}").split() == ["active", "active"]
    on("manager", "systemctl kill --signal=KILL bluefleet-fleet.service bluefleet-actor.service")
    wait_for(
        lambda: on("manager", f"systemctl is-active {units}", check=False).split() == ["active", "active"],
        "both run again",
    )
    assert json.loads(bluefleet("actor", "status", "--json").stdout)["ok"] is True


def test_a_soft_reboot_from_the_control_machine_ends_when_the_node_is_back_and_no_other_node_notices() -> None:
    other = instance("simple")["uptime_seconds"]
    here = instance("thermo")["uptime_seconds"]
    done = bluefleet("reboot", "node2", "--reason", "a new kernel")
    assert (done.returncode, "is back after" in done.stderr) == (0, True), done.stdout + done.stderr
    assert_all_is_well()
    assert instance("thermo")["uptime_seconds"] < here
    assert instance("simple")["uptime_seconds"] > other
    entries = json.loads(bluefleet("history", "--json").stdout)["entries"]
    assert ("reboot", "a new kernel") in [(one["verb"], one["options"].get("reason")) for one in entries]


def test_the_manager_reboots_a_node_by_its_command_and_by_the_actor(actor: ActorThroughSsh) -> None:
    def started() -> str:
        return on("node2", "systemctl show --property ExecMainStartTimestampMonotonic docker.service").strip()

    before = started()
    on("manager", "bluefleet reboot node2 --reason 'on the manager'")
    assert_all_is_well()
    between = started()
    assert between != before
    replies = actor.told("reboot --names node2 --reason 'by the actor'")
    assert replies[-1][0] == ":", replies
    assert_all_is_well()
    assert started() != between
    entries = json.loads(bluefleet("history", "--json").stdout)["entries"]
    assert [one["options"].get("reason") for one in entries if one["verb"] == "reboot"][:2] == [
        "by the actor",
        "on the manager",
    ]


def test_the_key_that_reboots_nodes_is_the_fleets_alone_and_runs_nothing_else() -> None:
    client = "/etc/bluefleet/pki/reboot-client"
    assert on("manager", f"stat --format '%a %U' {client} {client}/id_ed25519").split("\n")[:2] == [
        "700 bluefleet",
        "400 bluefleet",
    ]
    user = on("node1", "getent passwd bluefleet-reboot; sudo -l -U bluefleet-reboot")
    assert "/var/lib/bluefleet/reboot:/bin/sh" in user
    assert user.count("NOPASSWD") == 1
    (line,) = [
        one
        for one in on("node1", "cat /var/lib/bluefleet/reboot/.ssh/authorized_keys").splitlines()
        if not one.startswith("#")
    ]
    assert line.startswith('restrict,command="sudo -n /usr/local/sbin/bluefleet-reboot" ssh-ed25519 ')
