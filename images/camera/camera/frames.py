"""Frames on disk: a folder is a series, a file is a frame, and a file that has its name is whole.

A frame is written to ``.drafts`` beside the series, synced, and renamed. Several cameras may share a volume: each has
one draft, named for it, and removes what it left there itself when it was killed.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# (h5py has no types)
from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import h5py

from camera.errors import FrameNotWritten, OutOfRange
from camera.scene import Image

DATASET = "/entry/data/data"
TEMPLATE = "%06d.h5"
_DRAFTS = ".drafts"
_FRAME = re.compile(r"(\d{6})\.h5")
_SERIES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*){0,3}")


@dataclass(frozen=True)
class Exposed:
    """What a frame says of itself. Seconds, °C, UTC."""

    camera: str
    seconds: float
    temperature: float
    dark: bool
    begun: datetime


@dataclass
class Series:
    """A folder of frames that are numbered from 0 without a gap; ``frames`` is the number of the next one."""

    name: str
    folder: Path
    frames: int

    @property
    def next_file(self) -> Path:
        return self.folder / (TEMPLATE % self.frames)


class FrameStore:
    """The declared volume. ``uri`` is the address of ``root`` for those who read it elsewhere.

    ``owner`` names this camera among those that write there.
    """

    def __init__(self, root: Path, owner: str, uri: str = "") -> None:
        self.root = root.resolve()
        self.owner = owner
        self._uri = (uri or f"file://localhost{self.root}").rstrip("/")
        self._draft = self.root / _DRAFTS / f"{owner}.h5"

    def uri(self, series: Series) -> str:
        """The address of a series' folder, with a slash at its end."""
        return f"{self._uri}/{series.name}/"

    def open(self, name: str) -> Series:
        """The series of that name, new or gone on with. Its folder is made with its first frame."""
        if len(name) > 200 or _SERIES.fullmatch(name) is None:
            raise OutOfRange(
                f"{name!r} can't be a series: letters, digits, '-', '_' and '.', at most four parts with '/' between"
            )
        folder = self.root / name
        numbers = [int(found[1]) for file in folder.glob("*.h5") if (found := _FRAME.fullmatch(file.name))]
        return Series(name, folder, max(numbers, default=-1) + 1)

    def today(self, name: str) -> Series:
        """This camera's series of that name, one each day (UTC)."""
        return self.open(f"{datetime.now(UTC):%Y-%m-%d}/{self.owner}-{name}")

    def draft(self, series: Series, image: Image, exposed: Exposed) -> None:
        """Write the next frame of a series where nobody looks for frames, and sync it."""
        try:
            series.folder.mkdir(parents=True, exist_ok=True)
            self._draft.parent.mkdir(exist_ok=True)
            self._write(self._draft, image, exposed)
        except OSError as error:
            self.remove_draft()
            raise _not_stored(series, error) from error

    def commit(self, series: Series) -> Path:
        """Give the drafted frame its name. From then on it is there, also after a power cut."""
        file = series.next_file
        try:
            if file.exists():
                raise FileExistsError("somebody else writes to this series")
            self._draft.rename(file)
            _sync(series.folder)
        except OSError as error:
            self.remove_draft()
            raise _not_stored(series, error) from error
        series.frames += 1
        return file

    def remove_draft(self) -> bool:
        """Remove what was drafted and will not be a frame; whether there was something."""
        try:
            self._draft.unlink()
        except OSError:
            return False
        return True

    @staticmethod
    def _write(draft: Path, image: Image, exposed: Exposed) -> None:
        with h5py.File(draft, "w", locking=False) as file:
            entry = file.create_group("entry")
            entry.attrs["camera"] = exposed.camera
            entry.attrs["exposure_seconds"] = exposed.seconds
            entry.attrs["temperature_celsius"] = exposed.temperature
            entry.attrs["dark"] = exposed.dark
            entry.attrs["begun"] = exposed.begun.isoformat()
            # One frame, and an axis for the frames: so files of a series are joined along it.
            file.create_dataset(DATASET, data=image[None], chunks=(1, *image.shape))
        _sync(draft)


def _not_stored(series: Series, error: OSError) -> FrameNotWritten:
    return FrameNotWritten(f"frame {series.name}/{series.next_file.name} could not be written: {error}")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
