"""The command as a whole: whatever ends it, who asked for JSON gets an object, and nobody a traceback for a mistake."""

import errno
from typing import Any

import typer
from typer.core import TyperGroup

from bluefleet.cli._report import answer_error, answering, report


class Group(TyperGroup):
    """All verbs. Its context's `obj` says whether JSON was asked for: also a word that no verb knows is told in it."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line to its end."""
        with answering(in_json=bool(self.context_settings.get("obj"))):
            return super().main(*arguments, **options)

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Parse what stands before the verb."""
        try:
            return super().make_context(*arguments, **options)
        except typer.TyperException as error:
            _answer(error, "bluefleet")
            raise

    def invoke(self, ctx: Any) -> Any:
        """Parse what follows, and do it."""
        try:
            return super().invoke(ctx)
        except typer.TyperException as error:
            _answer(error, " ".join(word for word in ("bluefleet", ctx.invoked_subcommand) if word))
            raise
        except OSError as error:
            if error.errno in {errno.EPIPE, None}:
                raise
            report(f"{error.strerror}", str(error.filename or "this machine"), "See that it is there and open to you")
            raise typer.Exit(1) from error


def _answer(error: typer.TyperException, words: str) -> None:
    """Typer says the words itself."""
    answer_error(error.format_message(), words, f"`{words} --help` says what it takes")
