"""Runs a verb on the manager, from the control machine: the same verb, over SSH, with its own streams and exit code."""

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bluefleet.cli._control import inventory_of, refuse_inventory, rendered
from bluefleet.cli._fleet import refuse
from bluefleet.cli._report import answer_error, answers_in_json, report

if TYPE_CHECKING:
    from bluefleet.inventory import Connection, Rendered

_CONNECT_SECONDS = 5
# ssh's own word for "no connection"; a command inside an instance may end with it, too.
_NO_CONNECTION = 255
# A shell's word for a program that it does not find.
_NO_COMMAND = 127


def run_on_manager(words: Sequence[str]) -> int:
    """Run `bluefleet <words>` on the manager of the chosen site and return its exit code."""
    folder, checkout = inventory_of(shlex.join(words))
    found = rendered(folder, checkout)
    manager = manager_of(found, folder)
    connection = found.control.connections[manager]
    with tempfile.TemporaryDirectory(prefix="bluefleet-") as temporary:
        arrived = Path(temporary) / "arrived"
        code, answered = call_manager(connection, words, arrived=arrived)
        connected = arrived.exists()
    return _explained(_Ended(code, answered=answered, connected=connected), words, manager, connection, folder)


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a call of the manager ended: whether it gave an answer, and whether the manager had let us in at all."""

    code: int
    answered: bool
    connected: bool


def _explained(ended: _Ended, words: Sequence[str], manager: str, connection: "Connection", folder: Path) -> int:
    """The exit code of a call of the manager, after a person was told what only this side knows of its end."""
    code, answered, connected = ended.code, ended.answered, ended.connected
    where = f"{manager} ({connection.address})"
    if code == _NO_CONNECTION and not connection.local and not connected:
        report(
            f"the manager cannot be reached by SSH, so `bluefleet {shlex.join(words)}` did not run",
            where,
            f"See ssh's own words above; is the host on, and was site.yml run with -i {folder}?",
        )
        return 1
    if code == _NO_CONNECTION and not connection.local and not answered and words[0] != "exec":
        report(
            f"the connection to the manager ended while `bluefleet {shlex.join(words)}` ran there",
            where,
            "It may go on, be done or be half done: `bluefleet history` and `bluefleet status` say",
        )
        return 1
    # A command inside an instance may end with it, too.
    if code == _NO_COMMAND and words[0] != "exec":
        report("the manager has no command `bluefleet` yet", where, f"Run site.yml -i {folder}")
        return 1
    if code and not answered:
        what = f"`bluefleet {shlex.join(words)}` ended with exit code {code} and gave no answer"
        answer_error(what, where, "Its own words are on stderr")
    return code


def manager_of(found: "Rendered", folder: Path) -> str:
    """The manager's name in the inventory; exit code 2 when there is none."""
    from bluefleet.site_file import SiteFileInvalid, load_site

    try:
        hosts = load_site(found.site_file).hosts
    except SiteFileInvalid:
        refuse_inventory(folder)
    manager = next((name for name, host in hosts.items() if "manager" in host.groups), None)
    if manager is None:
        refuse("the site has no manager", str(folder), "Put one host into group manager")
    return manager


def call_manager(connection: "Connection", words: Sequence[str], *, arrived: Path | None = None) -> tuple[int, bool]:
    """Run it; its exit code, and whether it gave an answer in JSON. Half a line of JSON is none.

    The file `arrived` is made when the manager has let us in: what ssh ends with does not say whether it came so far.
    """
    command = ssh_command(connection, words, arrived=arrived)
    # On a manager that is this machine too, the site is chosen already.
    environment = {name: value for name, value in os.environ.items() if name != "BLUEFLEET_INVENTORY"}
    try:
        if not answers_in_json():
            return subprocess.run(command, env=environment, check=False).returncode, False
        answered = False
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
            for line in process.stdout or ():
                if line.endswith(b"\n"):
                    answered = True
                    sys.stdout.buffer.write(line)
                    sys.stdout.flush()
    except FileNotFoundError as error:
        if connection.local:
            return _NO_COMMAND, False
        refuse(f"there is no {error.filename} on this machine", "PATH", "Install OpenSSH's client")
    return process.returncode, answered


def ssh_command(connection: "Connection", words: Sequence[str], *, arrived: Path | None = None) -> list[str]:
    """Spell the call; a terminal here is one there, for colours and Ctrl-C."""
    command = ["bluefleet", *words]
    if connection.local:
        return command
    # A terminal there would mix words and JSON.
    terminal = sys.stdin.isatty() and sys.stdout.isatty() and not answers_in_json()
    return [
        *ssh_arguments(connection, arrived=arrived),
        "-t" if terminal else "-T",
        connection.address,
        "--",
        shlex.join(command),
    ]


def ssh_arguments(connection: "Connection", *, arrived: Path | None = None) -> list[str]:
    """ssh with all that it needs to reach the host, and to end when that goes away."""
    arguments = [
        "ssh",
        "-o",
        f"ConnectTimeout={_CONNECT_SECONDS}",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "LogLevel=ERROR",
    ]
    # Two of our own make a call that hangs end: the network may go away in the middle of it.
    arguments += ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"]
    if arrived is not None:
        arguments += ["-o", "PermitLocalCommand=yes", "-o", f"LocalCommand=touch {shlex.quote(str(arrived))}"]
    arguments += shlex.split(connection.arguments)
    if connection.port != 22:
        arguments += ["-p", str(connection.port)]
    if connection.user:
        arguments += ["-l", connection.user]
    if connection.key_file:
        arguments += ["-i", connection.key_file]
    return arguments
