"""bsui: an IPython terminal with all that the queue's worker has. `python -m bluefleet.acquisition.terminal`

Launcher `bsui` of a desktop starts it in a container, where the site file and the person's folder of spools are.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (IPython is in the image only)
from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bluefleet.acquisition.checkout_versions import provide_versions
from bluefleet.acquisition.settings import Settings
from bluefleet.documents.errors import SpoolBusy
from bluefleet.documents.spool_lock import WriterLock
from bluefleet.model import device_database
from bluefleet.site_file import load_site

if TYPE_CHECKING:
    from bluefleet.acquisition.screen import WatchedRunEngine

WELCOME = """\
{site}: the run engine is RE; plans, devices and simulated devices (det, det1, motor …) have their own names.
  RE(scan([det1], motor1, -1, 1, 5))    runs a plan; Ctrl-C twice pauses it, then RE.resume(), RE.stop() or RE.abort()
  reload_devices()                      devices that were declared since
  db[-1]                                the last run that is stored; db[42] by scan number
"""


def free_writer(spool_dir: Path, person: str) -> str:
    """A name for this terminal's spool: the person's own, or with a number while other terminals of theirs are open."""
    for number in count(1):
        writer = person if number == 1 else f"{person}-{number}"
        try:
            WriterLock.acquire(spool_dir / f"{writer}.lock", timeout=0, claim=False).release()
        except SpoolBusy:
            continue
        return writer
    raise AssertionError  # count() has no end


def namespace() -> dict[str, Any]:
    """What a person can type: the start-up's names, and the modules that everybody imports."""
    # Before the first of them: nothing above imports what a developer may have a checkout of.
    provide_versions(Settings.from_environment().checkouts)

    import bluesky.plan_stubs as bps
    import bluesky.plans as bp
    import numpy as np
    from matplotlib import pyplot as plt

    from bluefleet.acquisition import startup
    from bluefleet.documents.runs_when_asked import RunsWhenAsked

    names = {name: each for name, each in vars(startup).items() if name in startup.__all__ or _has_a_use(each)}
    names |= {"bec": cast("WatchedRunEngine", startup.RE).best_effort, "bp": bp, "bps": bps, "np": np, "plt": plt}
    names["db"] = RunsWhenAsked()

    def reload_devices() -> dict[str, Any]:
        """Load devices that were declared or taken out since this terminal started."""
        _write_devices(Settings.from_environment())
        return startup.reload_devices(names)

    names["reload_devices"] = reload_devices
    return names


def _has_a_use(thing: Any) -> bool:
    """Whether it is a plan or a device, and not what the start-up itself is made of."""
    from bluesky.protocols import HasName
    from bluesky.utils import is_plan

    return is_plan(thing) or (isinstance(thing, HasName) and not isinstance(thing, type))


def _write_devices(settings: Settings) -> None:
    text = device_database(load_site(settings.fleet_file))
    settings.devices_file.write_text(text, encoding="utf-8")


def prepare(environment: Mapping[str, str], devices_folder: Path) -> dict[str, str]:
    """What the start-up is told beyond what the launcher knows: the registry of devices, and whose spool it writes."""
    told = {"BLUEFLEET_DEVICES_FILE": str(devices_folder / "devices.json"), "BLUEFLEET_SCREEN": "text", **environment}
    settings = Settings.from_environment(told)
    _write_devices(settings)
    return {**told, "BLUEFLEET_WRITER": free_writer(settings.spool_dir, settings.writer)}


def main() -> None:
    """The terminal. Arguments are IPython's own."""
    import IPython
    from redis import RedisError
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="bsui-") as folder:
        os.environ.update(prepare(os.environ, Path(folder)))
        names = namespace()
        try:
            metadata = dict(names["RE"].md)
        except (RedisError, OSError) as error:
            sys.exit(
                f"bsui: {error}. Scan ids would not go on; does `bluefleet status` say that the acquisition pod is well?"
            )
        sys.stdout.write(WELCOME.format(site=metadata["site"]))
        config = Config()
        if Settings.from_environment().screen == "windows":
            # While it waits for a line, windows answer too, and figures made by hand appear.
            config.InteractiveShellApp.matplotlib = "tk"
        IPython.start_ipython(argv=sys.argv[1:], user_ns=names, config=config, display_banner=False)


if __name__ == "__main__":
    main()
