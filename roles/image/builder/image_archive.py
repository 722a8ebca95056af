"""One file with all images that a push is about, shared layers once, as `docker save` writes it.

Writing it takes as long as sending what is in it. So the builder in the background of a converge writes it while hosts
are made ready, where it can be foreseen that it will be wanted; the push waits for that one, or writes its own.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from image_engine import Engine, EngineError
from image_lock import only_one
from image_plan import Image

SAVE_DEADLINE = 900.0
#: What is written ahead leaves so much free: nobody needs it yet, and hosts are being made on the same disk.
ROOM_LEFT = 5_000_000_000


@contextmanager
def archive(engine: Engine, images: Iterable[Image], folder: Path, waiting: Callable[[], None]) -> Iterator[Path]:
    """The file with these images, nobody else's while this lasts and gone afterwards. EngineError where it has no room."""
    references = [image.reference for image in images]
    with only_one(folder / "push.lock", waiting):
        path = _written(engine, references, folder)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


def prepare(engine: Engine, wanted: Callable[[], Iterable[Image]], folder: Path) -> None:
    """Write the file that `archive` will ask for, if there is room; without images only remove what nobody came for.

    Which those are is asked when no push goes on: it may have been about them.
    """
    with only_one(folder / "push.lock", lambda: None):
        references = [image.reference for image in wanted()]
        if not references:
            _remove_others(folder, None)
        elif _missing_room(engine, references, folder) + ROOM_LEFT <= 0:
            _written(engine, references, folder)


def _written(engine: Engine, references: list[str], folder: Path) -> Path:
    # By content: what a tag names may have been built anew since a file was left here.
    content = hashlib.sha256(" ".join(sorted(engine.ids(references))).encode()).hexdigest()
    path = folder / f"push-{content[:12]}.tar"
    _remove_others(folder, path)
    if path.is_file():
        return path
    missing = _missing_room(engine, references, folder)
    if missing > 0:
        raise EngineError(
            f"not enough disk: pushing {', '.join(references)} needs {missing // 1_000_000 + 1} MB more in {folder} "
            "for a while. Free them and run it again."
        )
    # Under its own name only when it is whole.
    part = path.with_suffix(".part")
    saved = engine.run("save", "--output", str(part), *references, deadline=SAVE_DEADLINE)
    if saved.returncode != 0:
        raise EngineError(f"docker save {' '.join(references)}: {saved.stderr.strip()}")
    return part.rename(path)


def _missing_room(engine: Engine, references: list[str], folder: Path) -> int:
    """Bytes by which the disk is too small, negative if it is not. Layers that images share are counted each time."""
    return sum(engine.sizes(references).values()) - shutil.disk_usage(folder).free


def _remove_others(folder: Path, path: Path | None) -> None:
    """What an earlier push left, and what a killed `docker save` did under names of its own."""
    for old in (*folder.glob("push-*"), *folder.glob(".tmp-push-*")):
        if old != path:
            old.unlink()
