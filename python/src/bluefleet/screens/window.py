"""A window of devices, one below the other, each with what typhos makes of it."""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUntypedBaseClass=false, reportUnknownParameterType=false
# (Qt and typhos are in the image only)
from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

from ophyd import Device
from pydm.widgets.base import TextFormatter
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QMainWindow, QScrollArea, QVBoxLayout, QWidget
from typhos.panel import TyphosSignalPanel
from typhos.positioner import TyphosPositionerWidget
from typhos.utils import apply_standard_stylesheets

#: Which devices answer is looked up so often, in milliseconds.
LOOK_EVERY = 500
#: Of a number that its IOC gives no precision to.
DIGITS = 3
#: Room for a position, its buttons and two lines of what went wrong: typhos would take twice that.
POSITION_HEIGHT = 210
BUTTON_HEIGHT = 40
WIDTH = 460
TALLEST = 900


@dataclass(frozen=True)
class Shown:
    """A device as typhos knows it, and the instance that serves it."""

    device: Any
    place: str


class DeviceScreen(QFrame):
    """One device: its name, where it is, whether it answers, and what it shows and takes."""

    def __init__(self, shown: Shown) -> None:
        super().__init__()
        self.setFrameShape(QFrame.StyledPanel)
        self.device = shown.device
        self.state = QLabel()
        self.state.setWordWrap(True)
        heading = QHBoxLayout()
        heading.addWidget(QLabel(f"<b>{shown.device.name}</b>"))
        heading.addStretch()
        heading.addWidget(QLabel(shown.place))
        layout = QVBoxLayout(self)
        layout.addLayout(heading)
        layout.addWidget(self.state)
        for part in _parts(shown.device):
            layout.addWidget(part)
        self._signals = _signals(shown.device)
        self.look()

    def look(self) -> None:
        """Say which signals do not answer now."""
        silent = sorted({pv for each in self._signals if not each.connected for pv in _names(each)})
        self.state.setText(
            f"<font color='red'>disconnected: no answer from {', '.join(silent)}</font>" if silent else ""
        )
        self.state.setVisible(bool(silent))
        for field in self.findChildren(TextFormatter):
            if field.channeltype is float and field.precisionFromPV and not field.precision:
                # An IOC that says nothing of digits says 0, and would show 0.5 as 0.
                field.precisionFromPV = False
                field.precision = DIGITS


class Window(QMainWindow):
    """The devices, in the order they were named."""

    def __init__(self, site: str, shown: list[Shown]) -> None:
        super().__init__()
        self.setWindowTitle(f"{site}: {', '.join(each.device.name for each in shown)}")
        self.screens = [DeviceScreen(each) for each in shown]
        inner = QWidget()
        layout = QVBoxLayout(inner)
        for screen in self.screens:
            layout.addWidget(screen)
        layout.addStretch()
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(inner)
        self.setCentralWidget(area)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._look)
        self._timer.start(LOOK_EVERY)
        self.resize(WIDTH, min(TALLEST, inner.sizeHint().height() + 20))

    def _look(self) -> None:
        for screen in self.screens:
            screen.look()


def application() -> Any:
    """Qt, as typhos looks."""
    app = QApplication.instance() or QApplication(["bsui-screens"])
    apply_standard_stylesheets(widget=app)
    return app


def run(site: str, shown: list[Shown]) -> int:
    """Show them until the window is closed."""
    app = application()
    # Ctrl-C in the terminal closes the window too; Qt alone would not hear it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    window = Window(site, shown)
    window.show()
    return int(app.exec_())


def _parts(device: Any) -> list[Any]:
    """What shows the device."""
    panel = TyphosSignalPanel()
    panel.showOmitted = False
    if not isinstance(device, Device):
        panel.layout().add_signal(device, device.name)
        return [panel]
    if not hasattr(device, "user_setpoint"):
        panel.add_device(device)
        return [panel]
    # What is set and what is read back have a field of their own.
    panel.showHints = False
    panel.add_device(device)
    position = TyphosPositionerWidget.from_device(device)
    position.setMaximumHeight(POSITION_HEIGHT if hasattr(device, "stop") else POSITION_HEIGHT - BUTTON_HEIGHT)
    return [position, panel]


def _signals(device: Any) -> list[Any]:
    if not isinstance(device, Device):
        return [device]
    return [walk.item for walk in device.walk_signals(include_lazy=False)]


def _names(signal: Any) -> set[str]:
    """Its process variables."""
    return {name for name in (getattr(signal, "pvname", None), getattr(signal, "setpoint_pvname", None)) if name}
