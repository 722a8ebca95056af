"""How a command tells a person what went wrong: three lines on stderr, never a traceback.

Who asked for JSON gets the same as the one object on stdout.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import typer

SCHEMA_VERSION = 1

_in_json: ContextVar[bool] = ContextVar("answer_in_json", default=False)


@contextmanager
def answering(*, in_json: bool) -> Generator[None]:
    """While this lasts, what goes wrong is told in JSON too, or not."""
    before = _in_json.set(in_json)
    try:
        yield
    finally:
        _in_json.reset(before)


def answers_in_json() -> bool:
    """Whether the command that runs was asked for JSON."""
    return _in_json.get()


def report(what: str, where: str, remedy: str) -> None:
    """Write what happened, where, and what to do."""
    mark = typer.style("error:", fg="red", bold=True)  # colour only where stderr is a terminal: echo strips it else
    typer.echo(f"{mark} {what}\n  where: {where}\n  to do: {remedy}", err=True)
    answer_error(what, where, remedy)


def answer_error(what: str, where: str, remedy: str) -> None:
    """Write the object alone, if JSON was asked for; the words were said elsewhere."""
    if not answers_in_json():
        return
    import json

    error = {"what": what, "where": where, "remedy": remedy}
    typer.echo(json.dumps({"schema_version": SCHEMA_VERSION, "ok": False, "error": error}))
