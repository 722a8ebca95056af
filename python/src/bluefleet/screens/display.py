"""Whether windows can be opened at all: Qt ends the whole program when they can't."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

from bluefleet.screens.errors import ScreenRefused


def check_display(environment: Mapping[str, str]) -> None:
    """Raise ScreenRefused when there is no display, or nobody may open windows there."""
    name = environment.get("DISPLAY")
    if not name:
        raise ScreenRefused("there is no display: log in with `ssh -X`")
    xcb = ctypes.CDLL("libxcb.so.1")
    xcb.xcb_connect.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(xcb.xcb_connect(name.encode(), None))
    refused = xcb.xcb_connection_has_error(connection)
    xcb.xcb_disconnect(connection)
    if refused:
        raise ScreenRefused(
            f"display {name} can't be opened: is it yours, and is the `ssh -X` that made it still open?"
        )
