"""Pages taken apart: an event page holds columns of events, a datum page columns of datums."""

from collections.abc import Iterator, Mapping
from typing import Any

from bluefleet.documents.codec import Document

PAGES = {"event_page": "event", "datum_page": "datum"}


def singles(name: str, document: Document) -> Iterator[tuple[str, Document]]:
    """The documents in a page; a document that is no page is itself."""
    if name == "event_page":
        yield from (("event", event) for event in _events(document))
    elif name == "datum_page":
        yield from (("datum", datum) for datum in _datums(document))
    else:
        yield name, document


def _events(page: Document) -> Iterator[Document]:
    for index, seq_num in enumerate(page["seq_num"]):
        yield {
            "descriptor": page["descriptor"],
            "uid": page["uid"][index],
            "time": page["time"][index],
            "seq_num": seq_num,
            "data": _row(page["data"], index),
            "timestamps": _row(page["timestamps"], index),
            "filled": _row(page.get("filled") or {}, index),
        }


def _datums(page: Document) -> Iterator[Document]:
    for index, datum_id in enumerate(page["datum_id"]):
        yield {
            "datum_id": datum_id,
            "resource": page["resource"],
            "datum_kwargs": _row(page.get("datum_kwargs") or {}, index),
        }


def _row(columns: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {key: column[index] for key, column in columns.items()}
