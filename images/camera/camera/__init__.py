"""A simulated camera: one state machine, seen through an actor's port and through process variables."""

__version__ = "0.1.0"
