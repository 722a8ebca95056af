"""For verbs that must put things back: whoever ends the command ends it as Ctrl-C does."""

import signal
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def interrupted_by_any_end() -> Generator[None]:
    """While this lasts, SIGTERM and a terminal that is closed raise KeyboardInterrupt too."""
    # Who ignores one (nohup) has a reason.
    ours = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
