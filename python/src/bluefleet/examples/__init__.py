"""Example data: a handful of varied runs, queued, waited for and read back."""

from bluefleet.examples.plans import Example, examples_for
from bluefleet.examples.series import MARK, ExampleRun, Examples, QueueBusy

__all__ = ["MARK", "Example", "ExampleRun", "Examples", "QueueBusy", "examples_for"]
