"""What Kafka acknowledged and then lost, with its disk or because an older copy of that was put back.

The marks in the spools know of it. A mark at or beyond the end of the topic is of a lost document.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path

from bluefleet.documents import spool_store
from bluefleet.documents.errors import SpoolFailed
from bluefleet.documents.settings import Settings

logger = logging.getLogger(__name__)


def unmark_lost(spools: Iterable[Path], end_of_topic: Callable[[Settings], int], settings: Settings) -> dict[Path, str]:
    """Documents that the topic does not hold count as undelivered again, in every spool.

    In every spool, for what one lane sends again moves the end of the topic beyond what another lost. The marks are
    read before Kafka is asked, so what is delivered meanwhile is not taken for lost. A spool that can't be read holds no
    other up: what comes back says what is wrong with it, for its own lane. Raises Unavailable.
    """
    faults: dict[Path, str] = {}
    marked: list[tuple[Path, int]] = []
    for path in spools:
        try:
            with contextlib.closing(spool_store.connect(path)) as connection:
                marked.append((path, spool_store.last_delivered(connection)))
        except (SpoolFailed, sqlite3.Error) as error:
            faults[path] = str(error)
    end = end_of_topic(settings)
    for path, last in marked:
        try:
            with contextlib.closing(spool_store.connect(path)) as connection:
                lost = spool_store.unmark(connection, from_offset=end, up_to=last)
        except (SpoolFailed, sqlite3.Error) as error:
            faults[path] = str(error)
            continue
        if lost:
            logger.warning("%s: Kafka lost %d documents from offset %d on; they are sent again", path.stem, lost, end)
    for path, fault in faults.items():
        logger.warning("%s: not looked at: %s", path.stem, fault)
    return faults
