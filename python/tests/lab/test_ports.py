"""Every host answers on the ports of the design's table and on no other, whoever asks."""

from __future__ import annotations

import json
import shlex
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from lab_door import ADDRESSES, LAB, on, shell

pytestmark = [pytest.mark.lab, pytest.mark.timeout(240)]

MANAGER, DATA, NODE = {22, 443, 5000, 9093}, {22, 443}, {22}
ENGINE = {2376}
# A PV that the instance at each hardware port serves.
PVS = {
    ("node1", 5064): "mini:ph:mtr",
    ("node1", 5066): "simple:A",
    ("node1", 5068): "cam1:state",
    ("node2", 5064): "thermo:I",
    ("node2", 5066): "random_walk:x",
    ("node2", 5068): "random_walk:horiz-x",
    ("node2", 5070): "random_walk:vert-x",
    ("node2", 5072): "cam2:state",
    ("node2", 5074): "xafs:i0",
}
HARDWARE = {node: {port for host, port in PVS if host == node} for node in ("node1", "node2")}
# Of the cameras' actors.
ACTOR = {19995}
FROM_ANYWHERE = {"manager": MANAGER, "data": DATA, "node1": NODE, "node2": NODE}
FROM = {
    "a stranger": FROM_ANYWHERE,
    "manager": {"data": DATA, **{node: NODE | ENGINE | ACTOR | ports for node, ports in HARDWARE.items()}},
    # A desktop: its terminals share scan ids with the queue.
    "data": {"manager": MANAGER | {6380}, **{node: NODE | ports for node, ports in HARDWARE.items()}},
    "node1": {"manager": MANAGER, "data": DATA, "node2": NODE},
}
# What a closed port answers; more silence than this would make the scan a night's work.
SILENCE = 1.0


def open_ports(address: str, first: int, last: int) -> list[int]:
    """The TCP ports that accept a connection."""
    found = []
    for port in range(first, last + 1):
        with socket.socket() as probe:
            probe.settimeout(SILENCE)
            if probe.connect_ex((address, port)) == 0:
                found.append(port)
    return found


def test_a_stranger_is_answered_on_the_designs_ports_and_no_other() -> None:
    with ThreadPoolExecutor(len(ADDRESSES)) as threads:
        scans = {name: threads.submit(open_ports, address, 1, 65535) for name, address in ADDRESSES.items()}
        found = {name: set(scan.result()) for name, scan in scans.items()}
    assert found == FROM_ANYWHERE


# Run on a host, with its own Python.
SCAN = """
import json, socket, sys
found = {}
for name, address in json.loads(sys.argv[1]).items():
    found[name] = []
    for port in (*range(1, 10001), 19995):
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((address, port)) == 0:
                found[name].append(port)
print(json.dumps(found))
"""


@pytest.mark.parametrize("viewer", ["manager", "data", "node1"])
def test_a_host_is_answered_by_the_others_as_its_groups_allow(viewer: str) -> None:
    others = {name: address for name, address in ADDRESSES.items() if name in FROM[viewer]}
    found = json.loads(on(viewer, f"python3 - '{json.dumps(others)}'", given=SCAN))
    assert {name: set(ports) for name, ports in found.items()} == FROM[viewer]


def test_the_ports_asked_for_a_pv_are_those_that_nodes_declare() -> None:
    declared = {
        path.stem: {one["channel_access_port"] for one in yaml.safe_load(path.read_text())["node_instances"]}
        for path in (LAB / "host_vars").glob("node*.yml")
    }
    assert declared == HARDWARE


# Run by whoever asks: one datagram, a search for a PV (Channel Access command 6), and what comes back, in hexadecimal.
# Of a firewall that refuses comes an error ("administratively prohibited"), of one that drops nothing: neither is an answer.
SEARCH = """
import socket, struct, sys
address, port, pv = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()
name = pv + bytes(8 - len(pv) % 8)
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
    asker.settimeout(2.0)
    asker.connect((address, port))
    asker.send(struct.pack("!HHHHII", 6, len(name), 5, 13, 1, 1) + name)
    try:
        print(asker.recv(1024).hex())
    except OSError:
        pass
"""


def told_of(answer: str) -> int | None:
    """The TCP port that an answer to a search names; None without an answer."""
    datagram = bytes.fromhex(answer.strip())
    while datagram:
        command, size, port = struct.unpack("!HHH", datagram[:6])
        if command == 6:
            return port
        datagram = datagram[16 + size :]
    return None


@pytest.mark.parametrize(("node", "port"), sorted(PVS))
def test_a_stranger_gets_no_answer_to_a_search_that_the_manager_gets_one_to(node: str, port: int) -> None:
    words = [ADDRESSES[node], str(port), PVS[node, port]]
    assert told_of(on("manager", f"python3 - {shlex.join(words)}", given=SEARCH)) == port
    assert told_of(shell(sys.executable, "-c", SEARCH, *words).stdout) is None


# Run on a host as one of its users: the interfaces of containers there, and which port of which container answers.
INSIDE = """
import json, socket, sys
found = []
for address in json.loads(sys.argv[1]):
    for port in (443, 5432, 6379, 8000, 8443, 9092, 9093, 9094, 27017, 60610, 60615, 60625):
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((address, port)) == 0:
                found.append([address, port])
print(json.dumps(found))
"""


def addresses_of_containers(host: str) -> list[str]:
    """On networks that the host is in: what is sent to an address of another one leaves the host, for whoever has it there."""
    # Not by a template: engines differ in what it prints of a gateway that there is not.
    containers = json.loads(on(host, "docker ps --quiet | xargs docker inspect"))
    networks = [network for each in containers for network in each["NetworkSettings"]["Networks"].values()]
    return [network["IPAddress"] for network in networks if network["Gateway"]]


@pytest.mark.parametrize(("host", "user"), [("data", "scientist"), ("manager", "nobody"), ("manager", "bluefleet")])
def test_a_user_of_a_host_does_not_reach_into_the_network_of_its_pod(host: str, user: str) -> None:
    containers = addresses_of_containers(host)
    assert containers, f"no container with an address of its own on {host}"
    command = f"runuser -u {user} -- python3 - '{json.dumps(containers)}'"
    assert json.loads(on(host, command, given=INSIDE)) == []
    # The same question as root: what the user doesn't reach is there.
    assert json.loads(on(host, f"python3 - '{json.dumps(containers)}'", given=INSIDE)) != []


@pytest.mark.parametrize(("host", "user"), [("data", "scientist"), ("manager", "bluefleet")])
def test_what_a_pod_publishes_is_for_the_users_of_its_host_too(host: str, user: str) -> None:
    for address in (ADDRESSES[host], "127.0.0.1"):
        assert on(host, f"runuser -u {user} -- bash -c 'exec 3<>/dev/tcp/{address}/443 && echo well'") == "well\n"
