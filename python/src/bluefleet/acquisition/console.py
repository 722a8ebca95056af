"""What a run writes to the console of a process without a screen: a heading, a table, how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bluesky.callbacks import LiveTable
from event_model import RunRouter

Document = dict[str, Any]
Callback = Callable[[str, Document], object]


def run_table(out: Callable[[str], None]) -> RunRouter:
    """A RunEngine callback that prints the hinted fields of each run's primary stream, one line an event."""

    def of_run(name: str, start: Document) -> tuple[list[Callback], list[Callable[[str, Document], list[Callback]]]]:
        del name
        out(f"run {start['uid']} scan_id {start.get('scan_id')} {start.get('plan_name', '')}")

        def of_stream(_: str, descriptor: Document) -> list[Callback]:
            if descriptor.get("name") != "primary":
                return []
            table = LiveTable(_fields(start, descriptor), out=out)
            table("start", start)
            return [table]

        return [_Ending(out)], [of_stream]

    return RunRouter([of_run])


class _Ending:
    """Says how the run ended."""

    def __init__(self, out: Callable[[str], None]) -> None:
        self._out = out

    def __call__(self, name: str, document: Document) -> None:
        if name == "stop":
            reason = f": {document['reason']}" if document.get("reason") else ""
            self._out(f"run {document['run_start']} ended {document['exit_status']}{reason}")


def _fields(start: Document, descriptor: Document) -> list[str]:
    """Axes of the plan first, then what each detector hints at."""
    axes = [field for names, _ in start.get("hints", {}).get("dimensions", []) for field in names]
    hinted = [field for hints in descriptor.get("hints", {}).values() for field in hints.get("fields", [])]
    present = descriptor["data_keys"]
    return [field for field in dict.fromkeys([*axes, *hinted]) if field in present]
