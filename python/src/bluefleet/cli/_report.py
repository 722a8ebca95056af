"""How a command tells a person what went wrong: three lines on stderr, never a traceback."""

import typer


def report(what: str, where: str, remedy: str) -> None:
    """Write what happened, where, and what to do."""
    mark = typer.style("error:", fg="red", bold=True)  # colour only where stderr is a terminal: echo strips it else
    typer.echo(f"{mark} {what}\n  where: {where}\n  to do: {remedy}", err=True)
