"""Who is at the other end of a connection on loopback, and whether they may command the fleet.

The wire knows no passwords. The kernel knows which user each end of a connection within the machine belongs to; so people
are who they are here, as with the command, and history can name them.
"""

import grp
import os
import pwd
import socket
import struct
from pathlib import Path
from typing import TypeAlias

_TABLE = Path("/proc/net/tcp")
# Columns of the kernel's table. A socket that nobody holds any more has no inode, and says user 0.
_LOCAL, _REMOTE, _USER, _INODE = 1, 2, 7, 9

Ends: TypeAlias = tuple[str, int]


class StrangerRefused(Exception):
    """Who connected may not command the fleet, or nobody can tell who it is."""


def name_of(far: Ends, near: Ends, group: str) -> str:
    """Name of the user at the `far` end. Raises StrangerRefused unless it is root, our own user or a member of `group`."""
    user = _user_of(far, near)
    if user is None:
        raise StrangerRefused("nobody can tell who connected")
    try:
        entry = pwd.getpwuid(user)
    except KeyError:
        entry = None
    name = entry.pw_name if entry else str(user)
    if user not in (0, os.getuid()) and not (entry and _is_member(entry, group)):
        raise StrangerRefused(f"{name} is no member of group {group} here: `bluefleet` is not open to {name} either")
    return name


def _user_of(far: Ends, near: Ends) -> int | None:
    wanted = (_spelled(far), _spelled(near))
    for line in _TABLE.read_text(encoding="ascii").splitlines()[1:]:
        columns = line.split()
        if (columns[_LOCAL], columns[_REMOTE]) == wanted and columns[_INODE] != "0":
            return int(columns[_USER])
    return None


def _spelled(end: Ends) -> str:
    address = struct.unpack("=I", socket.inet_aton(end[0]))[0]
    return f"{address:08X}:{end[1]:04X}"


def _is_member(entry: pwd.struct_passwd, group: str) -> bool:
    try:
        return grp.getgrnam(group).gr_gid in os.getgrouplist(entry.pw_name, entry.pw_gid)
    except KeyError:
        return False
