"""The control machine's container engine and kernel, asked and told through their own commands."""

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.virtual_host_plan import (
    LAB_LABEL,
    NETWORK_LABEL,
    SPEC_LABEL,
    Found,
    Host,
    Lab,
    Machine,
    image_of,
    run_arguments,
    spec_of,
)

CGROUP = Path("/sys/fs/cgroup")
CAP_SYS_RESOURCE = 24


class VirtualHostError(Exception):
    """A step failed: which, on which host, what to do."""


def run(command: list[str], *, stage: str, stdin: bytes | None = None, timeout: float = 120) -> str:
    """Run a command of the engine; a failure names the stage."""
    try:
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=timeout, check=False)
    except FileNotFoundError as error:
        raise VirtualHostError(f"{stage}: there is no program {command[0]} here; run .ci/bootstrap") from error
    except subprocess.TimeoutExpired as error:
        raise VirtualHostError(
            f"{stage}: `{' '.join(command[:3])}` gave no answer for {timeout:.0f} s; see the engine's log"
        ) from error
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        hint = (
            "; run .ci/bootstrap, it starts the engine" if "Cannot connect to the Docker daemon" in reason[-1] else ""
        )
        raise VirtualHostError(f"{stage}: {reason[-1]}{hint}")
    return done.stdout.decode()


def this_machine() -> Machine:
    """Look at the kernel for what decides how a host is run."""
    unified = (CGROUP / "cgroup.controllers").exists()
    hierarchies = () if unified else tuple(sorted(entry.name for entry in CGROUP.iterdir() if entry.is_dir()))
    bounding = next(
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapBnd")
    )
    return Machine(cgroup_hierarchies=hierarchies, has_sys_resource=bool(int(bounding, 16) >> CAP_SYS_RESOURCE & 1))


def image_id(reference: str) -> str | None:
    """Content hash of an image, None when the engine does not have it."""
    listed = run(["docker", "image", "ls", "--quiet", "--no-trunc", reference], stage="host image").split()
    return listed[0] if listed else None


def containers() -> list[Found]:
    """All laboratories' containers, whoever's they are."""
    labels = (label_column(label) for label in (LAB_LABEL, SPEC_LABEL, NETWORK_LABEL))
    columns = "\t".join(("{{.Names}}", "{{.State}}", *labels))
    command = ["docker", "ps", "--all", "--filter", f"label={LAB_LABEL}", "--format", columns]
    return [Found(*line.split("\t")) for line in run(command, stage="look for hosts").splitlines()]


def label_column(label: str) -> str:
    """A column of the engine's tables: the value of a label."""
    return '{{.Label "' + label + '"}}'


def network_checkout(name: str) -> str | None:
    """Checkout that made a network; '' for one that nobody labelled, None when there is none of this name."""
    columns = "{{.Name}}\t" + label_column(LAB_LABEL)
    listed = run(
        ["docker", "network", "ls", "--filter", f"name={name}", "--format", columns], stage="look for the network"
    )
    return dict(line.split("\t", 1) for line in listed.splitlines()).get(name)


def routes() -> list[dict[str, str]]:
    """Routes of this machine."""
    return json.loads(run(["ip", "-json", "route", "show"], stage="look at routes") or "[]")


def free_megabytes() -> tuple[str, int]:
    """Where the engine keeps its data, and how much room is there, in MB of a million bytes as images are counted."""
    root = run(["docker", "info", "--format", "{{.DockerRootDir}}"], stage="look at the disk").strip()
    # The engine's folder may be closed to this user; its nearest open parent lies on the same disk or is all that can be asked.
    visible = next(path for path in (Path(root), *Path(root).parents) if os.access(path, os.X_OK))
    return root, shutil.disk_usage(visible).free // 1_000_000


def make_network(lab: Lab) -> None:
    """Make the laboratory's network."""
    command = ["docker", "network", "create", "--subnet", lab.subnet, *labels(lab)]
    run([*command, *([] if lab.uplink else ["--internal"]), lab.network], stage=f"network {lab.network}")


def labels(lab: Lab) -> list[str]:
    """Arguments that say of a thing whose it is."""
    return ["--label", f"{LAB_LABEL}={lab.checkout}", "--label", f"{NETWORK_LABEL}={lab.network}"]


def archive_of(files: dict[str, tuple[Path, int]]) -> bytes:
    """A tar archive for `docker cp`: path in the host → (file here, mode); everything is root's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (source, mode) in files.items():
            content = source.read_bytes()
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode, member.mtime = len(content), mode, int(source.stat().st_mtime)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def create(lab: Lab, host: Host, machine: Machine, files: dict[str, tuple[Path, int]]) -> None:
    """Make a host with its volumes and keys; it is not started."""
    stage = f"create {host.name}"
    for volume in lab.volumes(host.name):
        run(["docker", "volume", "create", *labels(lab), volume], stage=stage)
    spec = ["--label", f"{SPEC_LABEL}={spec_of(lab, host, machine)}"]
    run(["docker", "create", *run_arguments(lab, host, machine), *labels(lab), *spec, image_of(lab, host)], stage=stage)
    try:
        run(["docker", "cp", "-", f"{lab.container(host.name)}:/"], stage=f"{stage}: keys", stdin=archive_of(files))
    except VirtualHostError:
        # A host without keys would look finished to the next run.
        run(["docker", "rm", "--force", lab.container(host.name)], stage=stage)
        raise


def remove(names: list[str]) -> None:
    """Stop, then remove: a forced removal of running hosts leaves their cgroups behind."""
    if names:
        run(["docker", "stop", *names], stage=f"stop {', '.join(names)}", timeout=300)
        try:
            run(["docker", "rm", "--force", *names], stage=f"remove {', '.join(names)}")
        except VirtualHostError as error:
            # What a run was interrupted in, the engine goes on with.
            if "already in progress" not in str(error):
                raise
        wait_until_gone(names, seconds=60)


def wait_until_gone(names: list[str], seconds: float) -> None:
    """Wait until the engine has none of these containers."""
    deadline = time.monotonic() + seconds
    while left := {container.name for container in containers()}.intersection(names):
        if time.monotonic() > deadline:
            raise VirtualHostError(
                f"remove {', '.join(sorted(left))}: still there after {seconds:.0f} s; see the engine's log"
            )
        time.sleep(0.2)


def start(names: list[str]) -> None:
    """Start hosts, all in one call."""
    if names:
        run(["docker", "start", *names], stage=f"start {', '.join(names)}")


def answers(host: Host, timeout: float) -> bool:
    """Whether the host's sshd greets."""
    try:
        with socket.create_connection((host.address, 22), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def reasons(lab: Lab, silent: list[Host]) -> str:
    """Hosts that do not answer SSH, each with its container's state and the log to read."""
    states = {container.name: container.state for container in containers()}
    named = []
    for host in silent:
        name = lab.container(host.name)
        state = states.get(name, "gone")
        log = f"docker exec {name} journalctl -b -p warning" if state == "running" else f"docker logs {name}"
        named.append(f"{host.name} ({host.address}; container is {state}; see: {log})")
    return ", ".join(named)


def wait_for_ssh(lab: Lab, hosts: list[Host], seconds: float) -> None:
    """Wait until each host's sshd greets; one that does not is named with what it last said."""
    deadline = time.monotonic() + seconds
    silent = list(hosts)
    while silent := [host for host in silent if not answers(host, timeout=2)]:
        if time.monotonic() > deadline:
            raise VirtualHostError(f"wait for SSH: no answer in {seconds:.0f} s from {reasons(lab, silent)}")
        time.sleep(0.1)


@dataclass(frozen=True)
class Remains:
    """What a laboratory has on this engine."""

    containers: list[str]
    volumes: list[str]
    networks: list[str]

    def lines(self) -> list[str]:
        """All of it, for people."""
        kinds = (("container", self.containers), ("volume", self.volumes), ("network", self.networks))
        return [f"{kind} {name}" for kind, names in kinds for name in names]


def remove_laboratory(there: Remains) -> None:
    """Remove hosts and the power unit, then the volumes and networks that they used."""
    remove(there.containers)
    for kind, names in (("volume", there.volumes), ("network", there.networks)):
        if names:
            run(["docker", kind, "rm", *names], stage=f"remove {kind}s")


def remains(lab: Lab, *, whole_checkout: bool = False) -> Remains:
    """What the laboratory has, or with `whole_checkout` every laboratory of its checkout."""

    def wanted(checkout: str, network: str, name: str) -> bool:
        return checkout == lab.checkout if whole_checkout else lab.owns(checkout, network, name)

    def listed(kind: str) -> list[str]:
        columns = "\t".join(("{{.Name}}", label_column(LAB_LABEL), label_column(NETWORK_LABEL)))
        command = ["docker", kind, "ls", "--filter", f"label={LAB_LABEL}={lab.checkout}", "--format", columns]
        rows = [line.split("\t") for line in run(command, stage=f"look for {kind}s").splitlines()]
        # Of what has only the older label, a network is known by its whole name.
        return [
            name
            for name, checkout, network in rows
            if wanted(checkout, network or (name if kind == "network" else ""), name)
        ]

    there = [each.name for each in containers() if wanted(each.checkout, each.network, each.name)]
    return Remains(there, listed("volume"), listed("network"))
