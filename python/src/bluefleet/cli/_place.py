"""On which machine the command runs. Small: every start of the command asks."""

import os
from pathlib import Path


def on_the_manager() -> bool:
    """Whether this machine is the manager of a site: there is its site file, and on no other machine."""
    try:
        return (Path(os.environ.get("BLUEFLEET_ETC", "/etc/bluefleet")) / "fleet.yml").exists()
    except PermissionError:  # who may not even look uses the installed command, which runs as a user who may
        return False
