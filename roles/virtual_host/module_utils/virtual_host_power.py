"""The laboratory's power unit: what its container should be, the step that makes it so, and whether it answers."""

import hashlib
import http.client
import ipaddress
import json
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.virtual_host_engine import VirtualHostError, archive_of, labels, remove, run
from ansible.module_utils.virtual_host_plan import SPEC_LABEL, Found, Host, Lab

ENGINE_SOCKET = "/var/run/docker.sock"
DEADLINE = 5


@dataclass(frozen=True)
class PowerUnit:
    """Where it answers, and the files that it is made from on the control machine."""

    address: str
    engine: str
    program: Path
    token: Path
    certificate: Path
    key: Path
    ca_file: Path

    def files(self) -> dict[str, tuple[Path, int]]:
        """What its container is given: path there → (file here, mode). Files and no variables: those anybody may inspect."""
        return {
            "/root/power_unit.py": (self.program, 0o500),
            "/root/token": (self.token, 0o400),
            "/root/server.crt": (self.certificate, 0o400),
            "/root/server.key": (self.key, 0o400),
        }

    def missing(self) -> list[Path]:
        """Files that are still to be made."""
        return [path for path in (*(source for source, _ in self.files().values()), self.ca_file) if not path.exists()]

    def fingerprint(self) -> str:
        """Hash of what it is given; '' while something is missing."""
        if self.missing():
            return ""
        return hashlib.sha256(b"".join(source.read_bytes() for source, _ in self.files().values())).hexdigest()


def engine_socket(host: str) -> str:
    """Path of the engine's socket on this machine, from its address as `docker context inspect` tells it."""
    scheme, _, path = host.strip().partition("://")
    if scheme != "unix":
        raise VirtualHostError(
            f"the power unit needs the engine's socket on this machine, and the engine in use is {host.strip()}: "
            "unset DOCKER_HOST, or leave virtual_host_power_address empty"
        )
    return path


def address_fault(lab: Lab, unit: PowerUnit, hosts: list[Host]) -> str:
    """Why the network can't have the unit's address; '' when it can."""
    address, subnet = ipaddress.ip_address(unit.address), ipaddress.ip_network(lab.subnet)
    owners = {host.address: host.name for host in hosts}
    said = f"virtual_host_power_address {unit.address}"
    if address not in subnet:
        return f"{said} lies outside virtual_host_subnet {lab.subnet}"
    if address == next(subnet.hosts()):
        return f"{said} is the gateway of {lab.subnet}"
    if unit.address in owners:
        return f"{said} is {owners[unit.address]}'s already"
    return ""


def run_arguments(lab: Lab, unit: PowerUnit) -> list[str]:
    """Arguments of `docker create`, without the labels, the image and its command."""
    return [
        "--name", lab.power_unit, "--hostname", "power-unit", "--network", lab.network, "--ip", unit.address,
        # It comes back with the engine, as the hosts do; the host image's own signal is systemd's.
        "--restart", "unless-stopped", "--stop-signal", "SIGTERM",
        # The socket gives it the machine; of everything else it has nothing.
        "--volume", f"{unit.engine}:{ENGINE_SOCKET}",
        "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", "--security-opt", "no-new-privileges", "--pids-limit", "64",
    ]  # fmt: skip


def command(lab: Lab) -> list[str]:
    """What its container runs."""
    return [
        "python3", "/root/power_unit.py", "--network", lab.network, "--checkout", lab.checkout, "--engine", ENGINE_SOCKET,
        "--token-file", "/root/token", "--certificate", "/root/server.crt", "--key", "/root/server.key",
    ]  # fmt: skip


def spec_of(lab: Lab, unit: PowerUnit) -> str:
    """Hash of everything that reaches the container: when it differs, it is made anew."""
    content = json.dumps([run_arguments(lab, unit), command(lab), lab.image, unit.fingerprint()])
    return hashlib.sha256(content.encode()).hexdigest()


def step(lab: Lab, unit: PowerUnit | None, found: list[Found]) -> str:
    """What is to be done with the container: `create`, `recreate`, `start`, `remove` or '' for nothing."""
    there = next((container for container in found if container.name == lab.power_unit), None)
    if there is not None and there.checkout != lab.checkout:
        if unit is None:
            return ""
        raise VirtualHostError(
            f"{there.name} is the power unit of {there.checkout}: take that laboratory down there first"
        )
    if unit is None:
        return "remove" if there else ""
    if there is None:
        return "create"
    # One that was never started may lack its files: a run was interrupted before it had them. One that is paused can't be started.
    if there.spec != spec_of(lab, unit) or there.state not in ("running", "exited"):
        return "recreate"
    return "start" if there.state == "exited" else ""


def carry_out(lab: Lab, unit: PowerUnit, what: str) -> None:
    """Take a step towards a unit that runs; each can be repeated."""
    if what == "recreate":
        remove([lab.power_unit])
    if what in ("create", "recreate"):
        spec = ["--label", f"{SPEC_LABEL}={spec_of(lab, unit)}"]
        stage = "create the power unit"
        run(["docker", "create", *run_arguments(lab, unit), *labels(lab), *spec, lab.image, *command(lab)], stage=stage)
        run(["docker", "cp", "-", f"{lab.power_unit}:/"], stage=f"{stage}: files", stdin=archive_of(unit.files()))
    if what:
        run(["docker", "restart" if what == "restart" else "start", lab.power_unit], stage=f"{what} the power unit")


def trouble(unit: PowerUnit) -> str:
    """Why it does not answer who has the token; '' when it does."""
    context = ssl.create_default_context(cafile=str(unit.ca_file))
    connection = http.client.HTTPSConnection(unit.address, timeout=DEADLINE, context=context)
    headers = {"Authorization": f"Bearer {unit.token.read_text(encoding='utf-8').strip()}"}
    try:
        connection.request("GET", "/outlets", headers=headers)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or repr(error)
    finally:
        connection.close()
    return "" if answer.status == http.client.OK else f"{answer.status}: {said}"


def wait_for_answer(lab: Lab, unit: PowerUnit, seconds: float) -> None:
    """Wait until it answers; one that does not is told with its reason."""
    deadline = time.monotonic() + seconds
    while why := trouble(unit):
        if time.monotonic() > deadline:
            raise VirtualHostError(
                f"power unit at {unit.address} does not answer as it should after {seconds:.0f} s ({why}); "
                f"see: docker logs {lab.power_unit}"
            )
        time.sleep(0.1)
