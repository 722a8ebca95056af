"""Which run a document belongs to. Events name their descriptor and datums their resource, not their run."""

from typing import Any

from bluefleet.documents.codec import Document


class RunTracker:
    """Remembers descriptors and resources of open runs; forgets a run at its stop document."""

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        self._open: dict[str, list[str]] = {}

    @property
    def open_runs(self) -> list[str]:
        """Runs with a start and no stop, oldest first."""
        return list(self._open)

    def run_of(self, name: str, document: Document) -> str | None:
        """The run's uid; None for what refers to nothing seen before."""
        if name == "start":
            return self._remember(document["uid"], document["uid"])
        if name == "stop":
            return self._forget(document["run_start"])
        if name in {"descriptor", "resource", "stream_resource"}:
            # `run_start` is optional for resources: they then belong to the run that is going on.
            return self._remember(document["uid"], document.get("run_start") or self._latest())
        return self._owner.get(_reference(name, document)) or self._latest()

    def _latest(self) -> str | None:
        return next(reversed(self._open), None)

    def _remember(self, uid: str, run: str | None) -> str | None:
        if run is not None:
            self._open.setdefault(run, []).append(uid)
            self._owner[uid] = run
        return run

    def _forget(self, run: str) -> str:
        for uid in self._open.pop(run, []):
            self._owner.pop(uid, None)
        return run


def _reference(name: str, document: Document) -> str:
    key = {"datum": "resource", "datum_page": "resource"}.get(name, "descriptor")
    value: Any = document.get(key, "")
    return value if isinstance(value, str) else ""
