"""What this machine itself lacks to ask a node: then nothing is known of the node, and it is not to blame."""

import errno

from bluefleet.engine._ssh_words import SshMissing

# How each is told, and what to do. That a host can't be reached (EHOSTUNREACH) is not here: a node that is off looks so.
_LACKS = {
    errno.EMFILE: ("this program has no file descriptor left", "See `ulimit -n`, and what holds so many"),
    errno.ENFILE: ("this machine has no file descriptor left", "See /proc/sys/fs/file-nr, and what holds so many"),
    errno.ENOMEM: ("this machine has no memory left", "See `free`, and what takes it"),
    errno.ENOBUFS: ("this machine has no memory left for its network", "See `free`, and what takes it"),
    errno.EAGAIN: ("this machine can start no more processes", "See `ulimit -u`, and what runs"),
    errno.ENOSPC: ("this machine's disk is full", "See `df`, and make room"),
    errno.EDQUOT: ("this user's share of this machine's disk is full", "See `quota`, and make room"),
    errno.EROFS: ("this machine's disk can only be read", "See `dmesg`"),
    errno.ENETUNREACH: ("this machine has no route to that network", "See `ip route`"),
    errno.ENETDOWN: ("this machine's network is down", "See `ip link`"),
    errno.EADDRNOTAVAIL: ("this machine has no address or port left to dial from", "See `ss --summary`"),
}


def own_fault(error: BaseException) -> tuple[str, str] | None:
    """What is wrong with this machine and what to do, if that is what the error says."""
    if isinstance(error, SshMissing):
        return "this machine has no program ssh", "Install openssh-client"
    return _LACKS.get(error.errno or 0) if isinstance(error, OSError) else None
