"""Fixtures of the document path's unit tests."""

from killable_writer import start_writer

__all__ = ["start_writer"]
