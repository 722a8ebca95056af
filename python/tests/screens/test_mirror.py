"""What typhos is given for each of our device classes: the same names, the same process variables."""

from __future__ import annotations

from typing import Any

import pytest
from ophyd import EpicsMotor, EpicsSignal, EpicsSignalRO
from ophyd_async.core import DeviceVector, StandardReadable, soft_signal_rw
from ophyd_async.epics.core import epics_signal_r

import bluefleet.devices
from bluefleet.screens.mirror import Movable, NothingToShow, mirror


def signals(device: Any) -> dict[str, tuple[type, str]]:
    """Class and process variable by label."""
    return {
        getattr(walk.item, "long_name", walk.dotted_name): (type(walk.item), walk.item.setpoint_pvname)
        if isinstance(walk.item, EpicsSignal)
        else (type(walk.item), walk.item.pvname)
        for walk in device.walk_signals()
    }


def test_what_is_only_read_is_only_shown() -> None:
    shown = mirror(bluefleet.devices.Detector("mini:ph:", name="pinhole"))
    assert shown.name == "pinhole"
    assert not isinstance(shown, Movable)
    assert signals(shown) == {
        "counts": (EpicsSignalRO, "mini:ph:det"),
        "exposure": (EpicsSignal, "mini:ph:exp"),
    }


def test_an_axis_is_set_by_what_its_class_is_set_by() -> None:
    shown = mirror(bluefleet.devices.Axis("mini:ph:", name="motor_ph"))
    assert isinstance(shown, Movable)
    assert shown.user_setpoint.setpoint_pvname == shown.user_readback.pvname == "mini:ph:mtr"
    assert set(signals(shown)) == {"position", "velocity"}


def test_what_is_set_and_what_is_read_back_may_differ() -> None:
    shown = mirror(bluefleet.devices.Thermo("thermo:", name="thermo"))
    assert (shown.user_setpoint.setpoint_pvname, shown.user_readback.pvname) == ("thermo:SP", "thermo:I")


def test_a_motor_record_has_the_screen_of_one() -> None:
    shown = mirror(bluefleet.devices.Motor("m1", name="sample_x"))
    assert isinstance(shown, EpicsMotor)
    assert shown.user_setpoint.pvname == "m1.VAL"


def test_a_text_is_shown_as_one() -> None:
    shown = mirror(bluefleet.devices.Camera("cam1:", name="cam1"))
    assert shown.series.as_string
    assert not shown.frames.as_string


@pytest.mark.parametrize(("type_", "moved"), [("float", True), ("str", False), (None, False)])
def test_a_signal_has_a_field_of_a_position_only_when_it_is_a_number(type_: str | None, moved: bool) -> None:
    shown = mirror(bluefleet.devices.SettableSignal("valve", name="valve", type=type_))
    assert isinstance(shown, Movable) == moved
    assert signals(shown) == {"value": (EpicsSignal, "valve")}


def test_names_of_what_a_device_does_are_labels_all_the_same() -> None:
    class Counter(StandardReadable):
        """A signal of it is called as what a classic device does."""

        def __init__(self, prefix: str, name: str = "") -> None:
            self.summary = epics_signal_r(float, f"{prefix}sum")
            super().__init__(name=name)

    shown = mirror(Counter("c:", name="counter"))
    assert signals(shown) == {"summary": (EpicsSignalRO, "c:sum")}


def test_numbered_signals_are_shown_by_their_numbers() -> None:
    class Channels(StandardReadable):
        def __init__(self, prefix: str, name: str = "") -> None:
            self.channel = DeviceVector({number: epics_signal_r(float, f"{prefix}{number}") for number in (1, 2)})
            super().__init__(name=name)

    shown = mirror(Channels("c:", name="channels"))
    assert signals(shown) == {"1": (EpicsSignalRO, "c:1"), "2": (EpicsSignalRO, "c:2")}


@pytest.mark.parametrize("name", ["labels", "setpoint_attribute", "readback_attribute"])
def test_names_of_what_a_mirror_has_are_labels_too(name: str) -> None:
    class Named(bluefleet.devices.Axis):
        def __init__(self) -> None:
            setattr(self, name, epics_signal_r(float, "n:it"))
            super().__init__("n:", name="named")

    shown = mirror(Named())
    assert signals(shown)[name] == (EpicsSignalRO, "n:it")
    assert shown.user_setpoint.setpoint_pvname == shown.user_readback.pvname == "n:mtr"


def test_what_has_no_process_variable_can_not_be_shown() -> None:
    class Soft(StandardReadable):
        def __init__(self, name: str = "") -> None:
            self.value = soft_signal_rw(float)
            super().__init__(name=name)

    with pytest.raises(NothingToShow, match=r"soft \(Soft\) has no signal on Channel Access"):
        mirror(Soft(name="soft"))


def test_a_classic_device_is_shown_as_it_is() -> None:
    classic = EpicsSignalRO("mini:current", name="current")
    assert mirror(classic) is classic
