"""How the Tiled sink reaches its server: the client, tables as Arrow, and errors sorted into three kinds."""

# Tiled, pyarrow and their plugins are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pyarrow as pa
import tiled.client.utils
from jsonschema.exceptions import ValidationError
from tiled.client import from_uri
from tiled.client.container import Container

from bluefleet.documents.errors import DocumentError, Poison, Refusing, Unavailable
from bluefleet.documents.settings import TiledSettings, read_secret

ARROW_FILE = "application/vnd.apache.arrow.file"
#: How the name of the table begins that is there while we find out whether anything is stored.
PROBE = "sink_probe"
#: Answers that speak of the moment, not of what was sent. 409: somebody made it already, which a second look will show.
FOR_NOW = {401, 403, 408, 409, 425, 429, 502, 503, 504}
#: What documents that are none do to code that takes them apart.
FAULTS = (
    ValidationError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    pa.ArrowException,
)


def connect(settings: TiledSettings) -> Any:
    """A client of the catalogue. Raises Unavailable."""
    # Patience is ours: the client's own would hide for a minute that nothing works.
    tiled.client.utils.TILED_RETRY_ATTEMPTS = 1
    key = read_secret(settings.tiled_api_key_file) if settings.tiled_api_key_file else None
    with translated(settings.tiled_uri):
        # No cache on disk: what is read here decides what is written.
        client: Any = cast("Any", from_uri)(settings.tiled_uri, api_key=key, cache=None)
        return client.include_data_sources()


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Errors of the client and of documents as Unavailable, Refusing and Poison."""
    try:
        yield
    except DocumentError:
        raise
    except httpx.HTTPStatusError as error:
        code = error.response.status_code
        if code in FOR_NOW:
            raise Unavailable(f"Tiled at {where}: {error}") from error
        if code >= 500:
            raise Refusing(f"Tiled at {where}: {error}") from error
        raise Poison(f"Tiled refused it: {error}") from error
    except (httpx.HTTPError, OSError) as error:
        raise Unavailable(f"Tiled at {where}: {error or type(error).__name__}") from error
    except FAULTS as error:
        raise Poison(f"{type(error).__name__}: {error}") from error


def child(node: Any, key: str) -> Any:
    """The node of that name in a container, None if there is none."""
    try:
        return plain(node)[key]
    except KeyError:
        return None


def children(node: Any) -> dict[str, Any]:
    """What is in a container, but for what an interrupted probe left there."""
    return {key: each for key, each in plain(node).items() if not key.startswith(PROBE)}


def plain(node: Any) -> Any:
    """A container as such: clients for runs and streams show something else than what is stored."""
    return Container(node.context, item=node.item, structure_clients=node.structure_clients, include_data_sources=True)


def probe(node: Any) -> None:
    """In this container a table can be made, filled and deleted: what is refused is at fault. Raises DocumentError."""
    with translated(node.uri):
        container = plain(node)
        name = _free_name(container)
        # Tables of equal columns share one table of the database, which goes when the last row of any of them is
        # deleted. This one's column is nobody else's.
        rows = pa.table({f"{PROBE}_{uuid.uuid4().hex}": [1]})
        table = container.create_appendable_table(schema=rows.schema, key=name)
        table.append_partition(0, rows)
        container.delete_contents(name, recursive=True, external_only=False)


def _free_name(container: Any) -> str:
    """A name for a probe, once what an interrupted one left is gone."""
    if child(container, PROBE) is None:
        return PROBE
    try:
        container.delete_contents(PROBE, recursive=True, external_only=False)
    except httpx.HTTPStatusError:
        # Tiled was killed halfway through deleting it. It stays, and is in nobody's way.
        return f"{PROBE}_{uuid.uuid4().hex}"
    return PROBE


def read_table(table: Any, columns: list[str] | None = None) -> pa.Table:
    """All rows of an appendable table with the types they are stored in (pandas would make floats of nulls)."""
    url = table.item["links"]["partition"].format(index=0)
    response: Any = tiled.client.utils.handle_error(
        table.context.http_client.get(
            url, headers={"Accept": ARROW_FILE}, params={"partition": 0} | ({"column": columns} if columns else {})
        )
    )
    return cast("pa.Table", pa.ipc.open_file(response.read()).read_all())
