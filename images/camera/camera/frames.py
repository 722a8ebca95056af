"""Frames on disk: a folder is a series, a file is a frame, and a file that has its name is whole.

A frame is written under a temporary name (``.000012.h5.part``), synced, and renamed. What a killed process left under
such a name is removed when the next one starts.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# (h5py has no types)
from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import h5py

from camera.errors import FrameNotWritten, OutOfRange
from camera.scene import Image

DATASET = "/entry/data/data"
TEMPLATE = "%06d.h5"
_DRAFT = ".part"
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
    """The declared volume. ``uri`` is the address of ``root`` for those who read it elsewhere."""

    def __init__(self, root: Path, uri: str = "") -> None:
        self.root = root.resolve()
        self._uri = (uri or f"file://localhost{self.root}").rstrip("/")

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

    def draft(self, series: Series, image: Image, exposed: Exposed) -> Path:
        """Write the next frame of a series under its temporary name, and sync it."""
        file = series.next_file
        draft = file.with_name(f".{file.name}{_DRAFT}")
        try:
            series.folder.mkdir(parents=True, exist_ok=True)
            self._write(draft, image, exposed)
        except OSError as error:
            with suppress(OSError):  # there may be no such folder
                draft.unlink()
            raise FrameNotWritten(f"frame {series.name}/{file.name} could not be written: {error}") from error
        return draft

    def commit(self, series: Series, draft: Path) -> Path:
        """Give a drafted frame its name. From then on it is there, also after a power cut."""
        file = series.next_file
        try:
            draft.rename(file)
            _sync(series.folder)
        except OSError as error:
            raise FrameNotWritten(f"frame {series.name}/{file.name} could not be stored: {error}") from error
        series.frames += 1
        return file

    def remove_drafts(self) -> int:
        """Remove what a killed process left; returns how many there were."""
        drafts = list(self.root.rglob(f".*{_DRAFT}"))
        for draft in drafts:
            draft.unlink(missing_ok=True)
        return len(drafts)

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


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
