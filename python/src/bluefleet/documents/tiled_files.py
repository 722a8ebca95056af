"""Which files a document may bring into Tiled: those in folders that Tiled reads frames from.

Tiled opens a file with its own rights, which reach further than those of whoever wrote the document, and takes the text of
a path as it is: to it `/frames/../etc` is below `/frames`.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bluefleet.documents.errors import Poison


def refuse_elsewhere(uri: str, folders: Sequence[Path]) -> None:
    """Raises Poison for a file anywhere else, and for what is no file of this host."""
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise Poison(f"{uri!r} is no address of a file: {error}") from error
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"}:
        raise Poison(f"{uri!r} is no file that Tiled has before it: right is file://localhost/…")
    # Tiled does not decode it; who reads the file by its address may.
    for path in (PurePosixPath(parts.path), PurePosixPath(unquote(parts.path))):
        if ".." in path.parts or not any(path.is_relative_to(folder) for folder in folders):
            where = ", ".join(map(str, folders)) or "none here"
            raise Poison(
                f"{uri!r} is not in a folder that Tiled reads frames from ({where}; data_frames_folders names them)"
            )
