"""Finding a run in the spools, and what they hold of it."""

import contextlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bluefleet.documents import codec, spool_store
from bluefleet.documents.digest import Digester
from bluefleet.documents.errors import RunNotFound, SpoolFailed
from bluefleet.documents.named_runs import NamedRun
from bluefleet.documents.run_digest import RunDigest
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.spool_store import SpooledRun

logger = logging.getLogger(__name__)


def find_run(spools: Iterable[Path], text: str) -> tuple[Path, str]:
    """The spool and uid of the run that `text` names. Raises RunNotFound."""
    reference = RunReference.parse(text)
    found: list[tuple[float, Path, str]] = []
    for path, runs in _in_each(spools, reference):
        found += [(run.time, path, run.run) for run in runs]
    if reference.position is not None:
        found.sort()
        if -reference.position > len(found):
            raise RunNotFound(f"the spools hold {len(found)} runs, there is no {reference.position}")
        return found[reference.position][1:]
    if not found:
        raise RunNotFound(f"no run {text} in the spools")
    if reference.scan_id is None and len({run for _, _, run in found}) > 1:
        raise RunNotFound(f"{len(found)} runs begin with {text}: give more of the uid")
    return max(found)[1:]


def named_in_spools(spools: Iterable[Path], text: str) -> list[NamedRun]:
    """Runs that the name may mean as far as spools know. Raises RunNotFound for what can't name a run."""
    reference = RunReference.parse(text)
    found: list[NamedRun] = []
    for _, runs in _in_each(spools, reference):
        found += [NamedRun(run=run.run, time=run.time, scan_id=run.scan_id) for run in runs]
    return found


def spool_digest(path: Path, run: str) -> RunDigest:
    """What the spool holds of a run. Raises RunNotFound when its beginning has left the spool."""
    connection = spool_store.connect(path)
    digester = Digester(run)
    for _, body in spool_store.documents_of(connection, run):
        digester.add(*codec.decode(body))
    connection.close()
    found = digester.finish()
    if found.start is None:
        raise RunNotFound(
            f"the beginning of run {run} has left the spool: delivered documents stay for some days, and make room "
            "before that when it is nearly full"
        )
    return found


def _in_each(spools: Iterable[Path], reference: RunReference) -> Iterator[tuple[Path, Sequence[SpooledRun]]]:
    """A spool that can't be read hides no other's runs; the forwarder's status says what is wrong with it."""
    for path in spools:
        try:
            with contextlib.closing(spool_store.connect(path)) as connection:
                runs = _candidates(connection, reference)
        except (SpoolFailed, sqlite3.Error) as error:
            logger.warning("%s: not looked at: %s", path, error)
            continue
        yield path, runs


def _candidates(connection: sqlite3.Connection, reference: RunReference) -> Sequence[SpooledRun]:
    if reference.position is not None:
        return spool_store.runs(connection)
    if reference.scan_id is not None:
        return spool_store.runs(connection, "scan_id = ?", (reference.scan_id,))
    return spool_store.runs(connection, "run >= ? AND run < ?", (reference.uid, f"{reference.uid}~"))
