"""On which machine the command runs. Small: every start of the command asks."""

import os
import pwd
from pathlib import Path

# Who alone may use the engines' key, and as whom sudo lets operators run the installed command.
_FLEETS_USER = "bluefleet"


def on_the_manager() -> bool:
    """Whether this machine is the manager of a site: there is its site file, and on no other machine."""
    try:
        return (Path(os.environ.get("BLUEFLEET_ETC", "/etc/bluefleet")) / "fleet.yml").exists()
    except PermissionError:  # who may not even look uses the installed command, which runs as a user who may
        return False


def as_the_fleets_user() -> bool:
    """Whether it runs with the rights of the fleet's user on the manager: then no folder that the caller names may steer it.

    A site's inventory, or a checkout, says which programs are run and which options they are given.
    """
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return False
    return name == _FLEETS_USER and on_the_manager()
