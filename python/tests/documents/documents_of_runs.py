"""Makes the documents of small runs, validated by event_model."""

from collections.abc import Callable
from typing import Any

from event_model import DocumentNames, compose_run, schema_validators

Documents = list[tuple[str, dict[str, Any]]]
KEYS = {
    "motor": {"dtype": "number", "shape": [], "source": "SIM:motor"},
    "count": {"dtype": "integer", "shape": [], "source": "SIM:count"},
}


def make_run(
    events: int,
    *,
    scan_id: int = 1,
    keys: dict[str, Any] | None = None,
    values: Callable[[int], dict[str, Any]] = lambda number: {
        "motor": number / 3,
        "count": number,
    },
    stop: bool = True,
    **metadata: Any,
) -> Documents:
    """The documents of a run with one stream; `values` gives an event's data from its number, from 1."""
    run = compose_run(metadata={"scan_id": scan_id, "plan_name": "test", **metadata})
    documents: Documents = [("start", run.start_doc)]
    keys = keys or KEYS
    stream = run.compose_descriptor(
        name="primary",
        data_keys=keys,
        object_keys={"x": list(keys)},
        configuration={},
        hints={},
    )
    documents.append(("descriptor", stream.descriptor_doc))
    for number in range(1, events + 1):
        data = values(number)
        documents.append(
            (
                "event",
                stream.compose_event(data=data, timestamps=dict.fromkeys(data, 1700000000.5 + number)),
            )
        )
    if stop:
        documents.append(("stop", run.compose_stop()))
    for name, document in documents:
        schema_validators[DocumentNames[name]].validate(document)
    return documents


def uid_of(documents: Documents) -> str:
    """The run's uid."""
    return documents[0][1]["uid"]
