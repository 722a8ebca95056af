"""`mv`, which looks at all its devices before it moves the first.

Annotations are objects here, not texts: the queue reads them.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUntypedFunctionDecorator=false
# (bluesky's stubs have partial types)
from collections.abc import Hashable
from typing import Any

from bluesky import plan_stubs as bps
from bluesky.protocols import Movable, Status
from bluesky.utils import MsgGenerator, plan


class MoveRefused(Exception):
    """What a move was given can't be moved. Nothing was."""


@plan
def mv(
    device: Movable[Any],
    position: Any,
    *more: Any,
    group: Hashable | None = None,
    timeout: float | None = None,
    **kwargs: Any,
) -> MsgGenerator[tuple[Status, ...]]:
    """
    Move one or more devices to a setpoint. Wait for all to complete.

    If more than one device is specified, the movements are done in parallel.

    Parameters
    ----------
    device :
        what is moved
    position :
        where to: a number, or a text where the device takes one
    more :
        device2, position2, …
    group : string, optional
        Used to mark these as a unit to be waited on.
    timeout : float, optional
        Specify a maximum time that the move(s) can be waited for.
    kwargs :
        passed to the devices' set()
    """
    words = (device, position, *more)
    if len(words) % 2:
        raise MoveRefused(f"mv takes pairs, device1, position1, device2, position2, …; {len(words)} words are no pairs")
    for each in words[::2]:
        if not isinstance(each, Movable):
            raise MoveRefused(f"{each!r} is no device that can be moved, and nothing was")
    return (yield from bps.mv(*words, group=group, timeout=timeout, **kwargs))
