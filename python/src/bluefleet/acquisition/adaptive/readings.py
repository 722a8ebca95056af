"""What a run of a campaign read: the numbers of its stream `primary`, gathered from its documents."""

import numbers
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
        self._values: dict[str, list[float]] = {}

    def take(self, name: str, document: Document) -> None:
        """One of its documents."""
        if name == "descriptor" and document.get("name") == STREAM:
            self._descriptors.add(document["uid"])
        elif name in {"event", "event_page"} and document["descriptor"] in self._descriptors:
            for _, event in singles(name, document):
                self._add(event["data"])

    def means(self) -> dict[str, float]:
        """Every number that was read, by field; empty when there was no event."""
        return {field: float(np.mean(values)) for field, values in self._values.items()}

    def _add(self, data: Mapping[str, Any]) -> None:
        for field, value in data.items():
            if isinstance(value, numbers.Real):
                self._values.setdefault(field, []).append(float(value))
