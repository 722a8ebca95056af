"""The control machine's part of `reboot`: it tells nodes to reboot, over SSH, when the manager asks it to.

The manager decides, waits and remembers, but has no login on nodes. It asks in a line of its stdout and is answered in a
line of its stdin, while it holds the node's lock.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bluefleet.cli._control import inventory_of, rendered
from bluefleet.cli.remote import explained, manager_of, run_on_manager, ssh_arguments, ssh_command

if TYPE_CHECKING:
    from bluefleet.inventory import Connection

_ASK = "bluefleet-asks-to-reboot "
# After the answer, so that this call ends well; what a login may do is tried first.
_REBOOT = (
    'if [ "$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; '
    "command -v systemctl >/dev/null && $as true && "
    "$as sh -c 'nohup sh -c \"sleep 1; systemctl reboot\" >/dev/null 2>&1 </dev/null &'"
)
_TELL_SECONDS = 20.0


def asking(node: str) -> str:
    """The line by which the manager asks."""
    return f"{_ASK}{node}"


def answered(line: str) -> str:
    """What went wrong when the node was told, in words; empty when it was."""
    if not line:
        return "who called does not answer any more"
    return str(json.loads(line)["wrong"])


def conduct(words: Sequence[str], *, soft: bool) -> int:
    """Run the verb on the manager, and tell nodes to reboot when it asks; returns its exit code."""
    if not soft:
        return run_on_manager(words)
    folder, checkout = inventory_of("reboot")
    found = rendered(folder, checkout)
    connections = found.control.connections
    manager = manager_of(found, folder)
    command = ssh_command(connections[manager], [*words, "--by-caller"], terminal=False)
    code, answered = _converse(command, connections)
    return explained(code, words, manager, connections[manager], folder, answered=answered)


def _converse(command: Sequence[str], connections: "Mapping[str, Connection]") -> tuple[int, bool]:
    said = False
    # On a manager that is this machine too, the site is chosen already.
    environment = {name: value for name, value in os.environ.items() if name != "BLUEFLEET_INVENTORY"}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout or ():
            if line.startswith(_ASK) and process.stdin is not None:
                node = line.removeprefix(_ASK).strip()
                process.stdin.write(json.dumps({"wrong": tell(connections.get(node))}) + "\n")
                process.stdin.flush()
            else:
                said = True
                sys.stdout.write(line)
                sys.stdout.flush()
    return process.returncode, said


def tell(connection: "Connection | None") -> str:
    """Tell a node to reboot; returns what went wrong, in words."""
    if connection is None:
        return "the inventory here does not know it: it is not the one that site.yml was run with"
    if connection.local:
        return "it is the control machine itself, which is not rebooted from here"
    words = [*ssh_arguments(connection), "-T", connection.address, "--", _REBOOT]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TELL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"ssh to {connection.address} did not end within {_TELL_SECONDS:g} s"
    except FileNotFoundError as error:
        return f"there is no {Path(str(error.filename)).name} on this machine"
    said = done.stderr.strip()[-200:]
    return f"over ssh to {connection.address} it ended with {done.returncode}: {said}" if done.returncode else ""
