"""What a run of a campaign read: the numbers of its stream `primary`, gathered from its documents."""

import numbers
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from bluefleet.documents.codec import Document
from bluefleet.documents.pages import singles

STREAM = "primary"


class Readings:
    """Of one run. Of several events in it the mean counts; texts, arrays and frames are left out."""

    def __init__(self) -> None:
        self._descriptors: set[str] = set()
        #: By descriptor and number: an event comes again after a restart, and otherwise when it was taken again.
        self._events: dict[tuple[str, int], dict[str, float]] = {}

    def take(self, name: str, document: Document) -> None:
        """One of its documents."""
        if name == "descriptor" and document.get("name") == STREAM:
            self._descriptors.add(document["uid"])
        elif name in {"event", "event_page"} and document["descriptor"] in self._descriptors:
            for _, event in singles(name, document):
                self._events[event["descriptor"], event["seq_num"]] = _numbers(event["data"])

    def means(self) -> dict[str, float]:
        """Every number that was read, by field; empty when there was no event."""
        values: dict[str, list[float]] = defaultdict(list)
        for event in self._events.values():
            for field, value in event.items():
                values[field].append(value)
        return {field: float(np.mean(found)) for field, found in values.items()}


def _numbers(data: Mapping[str, Any]) -> dict[str, float]:
    return {field: float(value) for field, value in data.items() if isinstance(value, numbers.Real)}
