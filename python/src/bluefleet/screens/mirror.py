"""The devices of a site as typhos can show them: it knows classic ophyd's devices, and the site's are ophyd-async's.

A mirror has a signal for each of the device's, with the same process variables. It shows and puts values as an operator
does, and knows nothing of plans: a device class's own logic is not in it.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportPrivateUsage=false, reportIncompatibleMethodOverride=false
# (ophyd has no types)
from __future__ import annotations

from typing import Any, ClassVar, cast

from ophyd import Component, Device, EpicsMotor, EpicsSignal, EpicsSignalRO, Kind
from ophyd.device import DEVICE_RESERVED_ATTRS
from ophyd.utils import DisconnectedError
from ophyd_async.core import Device as AsyncDevice
from ophyd_async.core import Signal as AsyncSignal
from ophyd_async.core import SignalR, SignalRW, SignalW, StandardMovable
from ophyd_async.epics.motor import Motor


class NothingToShow(Exception):
    """A device has no process variable that Channel Access could reach."""


class Mirrored(Device):
    """A device whose labels are the names that its class gives its signals."""

    labels: ClassVar[dict[str, str]] = {}

    def __init__(self, prefix: str = "", **arguments: Any) -> None:
        super().__init__(prefix, **arguments)
        for attribute, label in self.labels.items():
            # What typhos shows in place of the attribute.
            getattr(self, attribute).long_name = label


class Movable(Mirrored):
    """A device that is moved: what has a `user_setpoint` and a `user_readback`, as a motor, has a field for its position."""

    setpoint_attribute = ""
    readback_attribute = ""

    @property
    def user_setpoint(self) -> Any:
        return getattr(self, self.setpoint_attribute)

    @property
    def user_readback(self) -> Any:
        return getattr(self, self.readback_attribute)

    def set(self, new_position: Any, **_: Any) -> Any:
        """Put it; done when the IOC says so. Raises DisconnectedError at once: who waits here is the window."""
        if not self.user_setpoint.connected:
            raise DisconnectedError(f"{self.name} does not answer")
        return self.user_setpoint.set(new_position, timeout=None)

    @property
    def stop(self) -> Any:
        # How a class stops its device is no process variable, and a button that stops nothing must not be there.
        raise AttributeError("stop")


def mirror(device: Any) -> Any:
    """What typhos can show of a device; it connects in the background. Raises NothingToShow."""
    if not isinstance(device, AsyncDevice):
        return device
    if isinstance(device, Motor):
        # The same record, as the class that typhos has a screen for.
        record = _process_variable(device.user_setpoint, read=True).removesuffix(".VAL")
        return EpicsMotor(record, name=device.name)
    made = _class_of(device)
    if made is None:
        raise NothingToShow(f"{device.name} ({type(device).__name__}) has no signal on Channel Access")
    return made("", name=device.name)


def _class_of(device: AsyncDevice) -> type[Mirrored] | None:
    """A class of components for the children of a device, or nothing when none of them can be shown."""
    position = _position(device)
    members: dict[str, Any] = {}
    labels: dict[str, str] = {}
    attributes: dict[AsyncDevice, str] = {}
    for name, child in device.children():
        component = _component(child, Kind.hinted if child in position else Kind.normal)
        if component is not None:
            attribute = attributes[child] = _free_name(name)
            members[attribute] = component
            if isinstance(child, AsyncSignal):
                labels[attribute] = name
    if not members:
        return None
    members["labels"] = labels
    setpoint, readback = (attributes.get(child) for child in position) if position else (None, None)
    if setpoint is None or readback is None:
        return cast("type[Mirrored]", type(type(device).__name__, (Mirrored,), members))
    members |= {"setpoint_attribute": setpoint, "readback_attribute": readback}
    return cast("type[Mirrored]", type(type(device).__name__, (Movable,), members))


def _component(child: AsyncDevice, kind: Kind) -> Any:
    if not isinstance(child, AsyncSignal):
        made = _class_of(child)
        return None if made is None else Component(made, "", kind=kind)
    read, write = _process_variable(child, read=True), _process_variable(child, read=False)
    if not (read or write):
        return None
    # An array of characters is a text where the class says so.
    text = child.datatype is str
    match child:
        case SignalRW():
            return Component(EpicsSignal, read, write_pv=write, string=text, put_complete=True, kind=kind)
        case SignalR():
            return Component(EpicsSignalRO, read, string=text, kind=kind)
        case SignalW():
            return Component(EpicsSignal, write, string=text, put_complete=True, kind=kind)
        case _:
            return None


def _position(device: AsyncDevice) -> tuple[Any, ...]:
    """The signals that a number sets it by, and that say where it is; nothing for what is not moved like that."""
    if not isinstance(device, StandardMovable):
        return ()
    logic = cast("Any", device).movable_logic
    # Whether a choice or a text is typed or picked is known when it answers: its row in the panel waits for that.
    return (logic.setpoint, logic.readback) if logic.setpoint.datatype in (float, int) else ()


def _free_name(name: str) -> str:
    """Components must not take the names of what a device does; those of a vector are numbers."""
    if not name.isidentifier():
        return f"n{name}"
    return f"{name}_" if name in dir(Movable) or name in DEVICE_RESERVED_ATTRS else name


def _process_variable(signal: AsyncSignal[Any], *, read: bool) -> str:
    """Its name, or "" when it is on something else than Channel Access."""
    # A signal's public `source` is that of what is read.
    source = signal._connector.backend.source(signal.name, read=read)
    scheme, _, name = source.partition("://")
    return name if scheme == "ca" else ""
