"""Runs a verb on the manager, from the control machine: the same verb, over SSH, with its own streams and exit code."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.inventory import Connection

_CONNECT_SECONDS = 5
# ssh's own word for "no connection": the verb itself never ends with it.
_NO_CONNECTION = 255
# A shell's word for a program that it does not find.
_NO_COMMAND = 127


def run_on_manager(words: Sequence[str]) -> int:
    """Run `bluefleet <words>` on the manager of the chosen site and return its exit code."""
    from bluefleet.checkout import NoCheckout, find_checkout, find_inventory
    from bluefleet.inventory import RenderingFailed, render
    from bluefleet.site_file import SiteFileInvalid, load_site

    try:
        folder = find_inventory()
        rendered = render(folder, find_checkout())
        hosts = load_site(rendered.site_file).hosts
    except NoCheckout as error:
        report(str(error), str(Path.cwd()), "Run it on the manager, or in a checkout of the project")
        return 2
    except (RenderingFailed, SiteFileInvalid):
        report(
            "the inventory does not make sense",
            str(find_inventory()),
            "Run `bluefleet validate`, which names file and line",
        )
        return 2
    manager = next((name for name, host in hosts.items() if "manager" in host.groups), None)
    if manager is None:
        report("the site has no manager", str(folder), "Put one host into group manager")
        return 2
    connection = rendered.control.connections[manager]
    code = subprocess.run(ssh_command(connection, words), check=False).returncode
    if code == _NO_CONNECTION and not connection.local:
        report(
            f"the manager cannot be reached by SSH, so `bluefleet {shlex.join(words)}` did not run",
            f"{manager} ({connection.address})",
            f"See ssh's own words above; is the host on, and was site.yml run with -i {folder}?",
        )
        return 1
    if code == _NO_COMMAND:
        report(
            "the manager has no command `bluefleet` yet",
            f"{manager} ({connection.address})",
            f"Run site.yml -i {folder}",
        )
        return 1
    return code


def ssh_command(connection: "Connection", words: Sequence[str]) -> list[str]:
    """Spell the call; a terminal here is one there, for colours and Ctrl-C."""
    command = ["bluefleet", *words]
    if connection.local:
        return command
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
    arguments += shlex.split(connection.arguments)
    if connection.port != 22:
        arguments += ["-p", str(connection.port)]
    if connection.user:
        arguments += ["-l", connection.user]
    if connection.key_file:
        arguments += ["-i", connection.key_file]
    arguments.append("-t" if sys.stdin.isatty() and sys.stdout.isatty() else "-T")
    return [*arguments, connection.address, "--", shlex.join(command)]
