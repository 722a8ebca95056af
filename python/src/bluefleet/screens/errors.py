"""What a person is told instead of a window."""


class ScreenRefused(Exception):
    """No window can be opened as asked; the message says why and what to do."""
