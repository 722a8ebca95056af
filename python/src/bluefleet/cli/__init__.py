"""The command `bluefleet`: a thin door, one module a verb."""

from bluefleet.cli.main import main

__all__ = ["main"]
