"""Tiled's own command, with one thing mended: `python -m bluefleet.documents.tiled_server serve config …`.

Tiled gives all threads of the server one connection to DuckDB (SQLAlchemy's StaticPool). Two requests at once then share
a transaction: what a reader gives back rolls back what a writer is about to commit, which answered 200 for rows that
were never stored, and now and then ended the server with a segmentation fault. DuckDB itself is made for several
connections of one process, each with its transactions.
"""

# Tiled is untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

import functools
import sys

import sqlalchemy.pool
from tiled.commandline.main import main
from tiled.storage import SQLStorage


def _own_connections(self: SQLStorage) -> sqlalchemy.pool.QueuePool:
    """A connection for each request at work, all of one DuckDB."""
    creator = self._adbc_connection.adbc_clone  # pyright: ignore[reportPrivateUsage] - there is no public way
    return sqlalchemy.pool.QueuePool(creator, pool_size=5, max_overflow=10)


def mend() -> None:
    """Let each request have its own connection. Raises RuntimeError when Tiled has changed what is mended here."""
    if not isinstance(vars(SQLStorage).get("_connection_pool"), functools.cached_property):
        raise RuntimeError(
            "tiled.storage.SQLStorage makes its connections in another way now: see whether this is needed"
        )
    pool = functools.cached_property(_own_connections)
    pool.__set_name__(SQLStorage, "_connection_pool")
    SQLStorage._connection_pool = pool  # pyright: ignore[reportPrivateUsage] - as above


if __name__ == "__main__":
    mend()
    sys.exit(main())
