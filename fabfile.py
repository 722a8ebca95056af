"""Tasks for ad-hoc work from the control machine: `fab --list`, `fab -H manager status`.

`-H` takes names of the inventory: the manager means the whole fleet, a node that node. Each task says a verb of the
command `bluefleet`, or a command over ssh with the site's own key and known hosts; each has a deadline. Another site than
the laboratory is BLUEFLEET_INVENTORY=inventories/<site>.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from fabric import task
from invoke.context import Context
from invoke.exceptions import Exit

from bluefleet.checkout import find_checkout, find_inventory
from bluefleet.cli.remote import ssh_arguments
from bluefleet.inventory import AnsibleMissing, Connection, Rendered, RenderingFailed, render
from bluefleet.model import Site
from bluefleet.site_file import SiteFileInvalid, load_site
from bluefleet.support import Hidden, PushFailed, Registry, Source, collect, push

BLUEFLEET = str(Path(sys.executable).with_name("bluefleet"))
# Seconds that a verb has to end when its time is over.
_ENDS = 5.0
# What is looked at on every host. Of containers only pods': what instances write is asked of the fleet.
LOOK = """
if [ "$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi
say() { echo; echo "== $*"; timeout 20 "$@" 2>&1; }
say uname -a; say uptime; say cat /etc/os-release; say df -h; say free -m; say ip -brief address
say $as docker version; say $as docker ps --all --no-trunc
say systemctl --failed --no-pager; say systemctl list-units --no-pager 'bluefleet*' 'docker*' 'chrony*'
say $as journalctl --no-pager --lines 1500 --unit 'bluefleet*' --unit docker
for pod in $($as docker ps --all --quiet --filter label=org.bluefleet.pod); do say $as docker logs --tail 300 "$pod"; done
"""


@task
def status(c: Context, category: str = "") -> None:
    """State of the fleet, or with -H NODE of that node."""
    _bluefleet("status", *_narrowed(c), *_category(category), seconds=60)


@task(positional=["targets"])
def restart(c: Context, targets: str, reason: str = "", interrupt_runs: bool = False, dry_run: bool = False) -> None:
    """Restart instances: names with commas between; with -H NODE those of that node."""
    words = ["restart", *_within(c, targets), *(["--reason", reason] if reason else [])]
    _bluefleet(*words, *_flags(interrupt_runs=interrupt_runs, dry_run=dry_run), seconds=660)


# A word after a task can't be left out, so what may be is an option.
@task
def logs(c: Context, targets: str = "", since: str = "1h", tail: int = 200) -> None:
    """What instances wrote lately: names with commas between, or all."""
    _bluefleet("logs", *_within(c, targets), "--since", since, "--tail", str(tail), "--timestamps", seconds=120)


@task
def reboot(  # noqa: PLR0917  (the options of a task, in its order)
    c: Context,
    nodes: str = "",
    reason: str = "",
    hard: bool = False,
    interrupt_runs: bool = False,
    dry_run: bool = False,
) -> None:
    """Reboot nodes (or that of -H NODE) softly, and wait until they are back; refused under a plan that uses them."""
    chosen = _within(c, nodes) or _narrowed(c)
    if not chosen:
        _refuse("name nodes: `fab -H manager reboot --nodes node1`, or `fab -H node1 reboot`")
    words = ["reboot", *chosen, *(["--reason", reason] if reason else []), "--deadline", "300"]
    _bluefleet(*words, *_flags(hard=hard, interrupt_runs=interrupt_runs, dry_run=dry_run), seconds=400)


@task(positional=["image"])
def push_image(c: Context, image: str, name: str = "", tag: str = "by-hand", dry_run: bool = False) -> None:
    """Push an image of this machine's engine into the site's registry; prints what to name in the inventory."""
    _host(c)
    rendered, site = _site()
    if site.registry is None:
        _refuse("the site has no registry of its own")
    secrets, pki = rendered.control.secrets_dir, rendered.control.pki_dir
    registry = Registry(
        site.registry.address,
        pki / "site" / "bundle.crt" if site.registry.tls else None,
        "push",
        secrets / "registry_push_password",
    )
    repository = name or image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    if dry_run:
        sys.stdout.write(f"would push {image} to {registry.address}/bluefleet/{repository}:{tag}\n")
        return
    try:
        reference = push(image, repository, tag, registry, seconds=900)
    except PushFailed as error:
        raise Exit(f"failed: {error}", code=1) from error
    sys.stdout.write(f"{reference}\n")


@task(name="collect")
def collect_(c: Context, into: str = ".", tail: int = 1000) -> None:
    """Collect a support bundle: status, devices, history, images, versions, logs of all hosts; no secret is in it."""
    chosen = _host(c)
    # Before anything is asked: it takes minutes.
    try:
        Path(into).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Exit(f"failed: {into}: {error.strerror}", code=1) from error
    if not os.access(into, os.W_OK | os.X_OK):
        raise Exit(f"failed: {into}: no file can be made in it; --into names another folder", code=1)
    rendered, site = _site()
    now = datetime.now(UTC)
    file = Path(into) / f"bluefleet-{site.site}-{now:%Y%m%dT%H%M%SZ}.tar.gz"
    connections = rendered.control.connections
    hosts = [chosen] if chosen and chosen in {node.name for node in site.nodes} else list(site.hosts)
    sources = [*_of_this_machine(rendered), *_of_the_fleet(tail)]
    sources += [
        Source(f"hosts/{name}.txt", _there(connections[name], LOOK), 180) for name in hosts if name in connections
    ]
    try:
        troubles = collect(sources, Hidden.of(rendered.control.secrets_dir), file)
    except OSError as error:
        raise Exit(f"failed: {file}: {error.strerror}", code=1) from error
    for trouble in troubles:
        sys.stderr.write(f"not collected: {trouble}\n")
    sys.stdout.write(f"{file}\n")
    if troubles:
        raise Exit(code=1)


def _of_this_machine(rendered: Rendered) -> list[Source]:
    checkout = str(find_checkout())
    beside = str(Path(sys.executable).with_name("ansible"))
    return [
        Source("control/checkout.txt", ["git", "-C", checkout, "log", "-1", "--format=%H %cI"], 20),
        Source("control/changes.txt", ["git", "-C", checkout, "status", "--short"], 20),
        Source("control/ansible.txt", [beside, "--version"], 30),
        Source("control/python.txt", [sys.executable, "--version"], 20),
        Source("site.yml", ["cat", str(rendered.site_file)], 20),
    ]


def _of_the_fleet(tail: int) -> list[Source]:
    """What verbs say; a fleet that is not well ends `status` with 1, and is what the bundle is made for."""
    verbs = {
        "status.json": ["status", "--json"],
        "status.txt": ["status"],
        "devices.json": ["devices", "list", "--json"],
        "history.json": ["history", "--json", "--limit", "500"],
        "images.json": ["images", "--json"],
        "plan.json": ["apply", "--check", "--json"],
        "logs.txt": ["logs", "--tail", str(tail), "--timestamps", "--all"],
    }
    return [Source(f"fleet/{name}", [BLUEFLEET, *words], 120, good=(0, 1, 3)) for name, words in verbs.items()]


def _there(connection: Connection, script: str) -> list[str]:
    if connection.local:
        return ["sh", "-c", script]
    return [*ssh_arguments(connection), "-o", "BatchMode=yes", "-T", connection.address, "--", script]


def _site() -> tuple[Rendered, Site]:
    """The chosen inventory, rendered."""
    folder = find_inventory()
    try:
        rendered = render(folder, find_checkout())
        return rendered, load_site(rendered.site_file)
    except (AnsibleMissing, RenderingFailed, SiteFileInvalid) as error:
        _refuse(f"{folder}: {error}; `.venv/bin/bluefleet validate -i {folder}` says more")


def _host(c: Context) -> str:
    """The host of -H, the manager or a node; empty without -H."""
    host = str(getattr(c, "host", ""))
    if host:
        _, site = _site()
        if host not in site.hosts:
            _refuse(f"the inventory has no host {host}; it has {', '.join(site.hosts)}")
        managers = [name for name, one in site.hosts.items() if "manager" in one.groups]
        nodes = [node.name for node in site.nodes]
        if host not in {*managers, *nodes}:
            also = f", or name one of {', '.join(nodes)}" if nodes else ""
            _refuse(f"{host} is no node: -H {', '.join(managers)} means the whole fleet{also}")
    return host


def _narrowed(c: Context) -> list[str]:
    """The node of -H; nothing where that is the manager, which stands for the fleet."""
    host = _host(c)
    return [f"{host}/"] if host and host in {node.name for node in _site()[1].nodes} else []


def _within(c: Context, targets: str) -> list[str]:
    """The named targets; those of one node with -H NODE."""
    names = [word.strip() for word in targets.split(",") if word.strip()]
    node = _narrowed(c)
    if not node:
        return names
    return [name if "/" in name else f"{node[0]}{name}" for name in names] or node


def _flags(**said: bool) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name, value in said.items() if value]


def _category(category: str) -> list[str]:
    return ["--category", category] if category else []


def _bluefleet(*words: str, seconds: float) -> None:
    """Say a verb; its exit code is ours. It writes to this terminal itself: what nobody reads for it can't hold it up."""
    command = [BLUEFLEET, *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            # As Ctrl-C does: it ends its ssh, too.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_ENDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise Exit(f"failed: `{shlex.join(command)}` did not end within {seconds:g} s", code=1) from None
    if code:
        raise Exit(code=code)


def _refuse(words: str) -> NoReturn:
    raise Exit(f"error: {words}", code=2)


__all__: Sequence[str] = ("collect_", "logs", "push_image", "reboot", "restart", "status")
