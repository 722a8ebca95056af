"""Fixtures of the tests with real databases and brokers."""

from document_stack import images, stack

__all__ = ["images", "stack"]
