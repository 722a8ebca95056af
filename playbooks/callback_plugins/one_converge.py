"""Ansible callback: a site has one converge at a time; a second one is told whose is under way, and ends."""

import errno
import fcntl
import json
import os
import sys
import time
from pathlib import Path

from ansible import context
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: one_converge
type: aggregate
short_description: A site has one converge at a time
description:
  - Holds a lock in the inventory's folder for as long as this process of ansible-playbook lives.
  - Check mode needs none, nor does a playbook all of whose plays have the variable C(beside_a_converge), for they change
    nothing that a converge changes.
"""

LOCK = Path(".state") / "converge.lock"
# What Ansible itself ends with for an error that is not a host's.
REFUSED = 1


class CallbackModule(CallbackBase):
    """Takes the lock before the first play."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "one_converge"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._lock: int | None = None

    def v2_playbook_on_start(self, playbook) -> None:
        """The only moment at which nothing is done yet; listings and syntax checks never come here."""
        folder = inventory_folder()
        if self._lock is not None or folder is None or context.CLIARGS.get("check"):
            return
        if all(boolean(play.vars.get("beside_a_converge", False)) for play in playbook.get_plays()):
            return
        try:
            self._lock = take(folder / LOCK)
        except Held as held:
            self._display.error(refusal(folder, held.written), wrap_text=False)
            # Ansible goes on after any other exception of a callback.
            sys.exit(REFUSED)
        except OSError as error:
            self._display.warning(f"Nothing keeps a second converge of this site from beginning: {error}")


class Held(Exception):
    """Another process has the lock; `written` is what it wrote of itself."""

    def __init__(self, written: bytes) -> None:
        super().__init__()
        self.written = written


def take(path: Path) -> int:
    """Lock the file, and write into it by whom; raises Held, or OSError where there can be no such file or lock."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    # Python closes it in what it executes.
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # A record lock, for it belongs to this process alone: Ansible's workers and mitogen's multiplexer are forks, and
        # with flock(2) one that lived on would keep it.
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        written = os.pread(lock, 4096, 0)
        os.close(lock)
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            raise Held(written) from error
        raise
    told = {"pid": os.getpid(), "since": int(time.time()), "playbooks": list(context.CLIARGS.get("args", ()))}
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps(told).encode(), 0)
    return lock


def inventory_folder() -> Path | None:
    """The folder that is the site; none when hosts were named on the command line."""
    for source in context.CLIARGS.get("inventory") or ():
        if "," not in source and (path := Path(source)).exists():
            return (path if path.is_dir() else path.parent).resolve()
    return None


def refusal(folder: Path, written: bytes) -> str:
    """Who holds the lock, since when, and what to do."""
    try:
        told = json.loads(written)
        since = time.strftime("%H:%M:%S", time.localtime(told["since"]))
        minutes, seconds = divmod(max(0, int(time.time()) - told["since"]), 60)
        who = f"process {told['pid']} ({' '.join(told['playbooks'])}), since {since} ({minutes} min {seconds} s)"
        end = f"kill -INT {told['pid']}"
    except (ValueError, KeyError):
        # It has only just taken it.
        who, end = "a process that has begun this moment", f"fuser {folder / LOCK} tells its number, kill -INT ends it"
    return (
        f"Another converge of this site is under way: {who}\n"
        f"  site: {folder}; nothing was changed by this run\n"
        f"  to do: wait for its end and run this again; when it must not go on: {end}. "
        f"What it leaves unfinished, the next run finishes. --check may run beside it"
    )
