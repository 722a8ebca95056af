"""A service of a pod: it logs in lines with their time, and runs until a signal tells it to stop."""

import logging
import signal
from typing import Protocol


class Service(Protocol):
    """`run` returns soon after `stop` was called, in whatever state that is safe to begin from again."""

    def run(self) -> None: ...
    def stop(self) -> None: ...


def log_at(level: str) -> None:
    """Log from that level on, as all services do."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def run_until_told(service: Service) -> None:
    """Run it until SIGTERM, or Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: service.stop())
    service.run()
