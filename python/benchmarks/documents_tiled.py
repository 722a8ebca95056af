"""TiledWriter's rate, for comparison: ``documents_tiled.py DOCUMENTS BATCH_SIZE`` in the data image prints seconds."""

# TiledWriter is in the data image only.
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import sys
import time
from pathlib import Path

from bluesky_tiled_plugins import TiledWriter

from bluefleet.documents import codec
from bluefleet.documents.settings import TiledSettings
from bluefleet.documents.tiled_access import connect


def main() -> None:
    """Write the run, one document after the other."""
    file, batch_size = sys.argv[1:]
    documents = [codec.decode(bytes.fromhex(line)) for line in Path(file).read_text().split()]
    writer = TiledWriter(connect(TiledSettings.from_environment()), batch_size=int(batch_size))
    begun = time.monotonic()
    for name, document in documents:
        writer(name, document)
    sys.stdout.write(f"{time.monotonic() - begun}\n")


if __name__ == "__main__":
    main()
