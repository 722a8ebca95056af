"""`bluefleet exec`: a command inside an instance."""

import io
import sys
from typing import Annotated

import typer

from bluefleet.cli._fleet import DEGRADED, AsJson, DryRun, chosen_of, declared, refuse, run
from bluefleet.cli._report import report

app = typer.Typer()


@app.command(name="exec", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
def execute(
    target: Annotated[str, typer.Argument(metavar="INSTANCE", help="INSTANCE, or NODE/INSTANCE.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="What to run; a shell with -it unless given.")
    ] = None,
    *,
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Give it what is typed.")] = False,
    terminal: Annotated[bool, typer.Option("--tty", "-t", help="Make it a terminal there.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run a command inside an instance's container; the exit code is the command's. `-it` alone is a shell."""
    from bluefleet.engine import EngineError, ProgramNotStarted, Streams
    from bluefleet.fleet import Call, NotRunning, Settings
    from bluefleet.fleet import execute as do

    given = command[1:] if command and command[0] == "--" else command
    words = given or (["/bin/sh"] if terminal and interactive else [])
    if not words:
        refuse("there is nothing to run", f"bluefleet exec {target}", "Add a command, or -it for a shell")
    if as_json and (terminal or interactive):
        refuse("--json is not for a session", f"bluefleet exec {target}", "Leave -i and -t out")
    settings = Settings()
    site = declared(settings)
    placed = chosen_of(site, [target]).placed
    if len(placed) != 1:
        there = ", ".join(f"{node.name}/{instance.name}" for node, instance in placed) or "no instance"
        refuse(f"{target} is not one instance but {there}", f"site {site.site}", "Name one: NODE/INSTANCE")
    if dry_run:
        typer.echo(f"{placed[0][0].name}/{placed[0][1].name}: would run {' '.join(words)}", err=True)
        raise typer.Exit
    out, err = (io.BytesIO(), io.BytesIO()) if as_json else (sys.stdout.buffer, sys.stderr.buffer)
    streams = Streams(out, err, sys.stdin.fileno() if interactive else None, tty=terminal)
    try:
        code = run(do(site, settings, placed[0], words, streams, call=Call("exec")), "the command may still run there")
    except EngineError as error:
        report(f"{error.tried}: {error.reason}", f"{placed[0][0].name}/{placed[0][1].name}", error.remedy)
        raise typer.Exit(error.exit_code if isinstance(error, ProgramNotStarted) else DEGRADED) from error
    except NotRunning as error:
        report(str(error), f"site {site.site}", f"`bluefleet status {target}` says why")
        raise typer.Exit(DEGRADED) from error
    if as_json and isinstance(out, io.BytesIO) and isinstance(err, io.BytesIO):
        typer.echo(_json(code, out, err))
    raise typer.Exit(code)


def _json(code: int, out: io.BytesIO, err: io.BytesIO) -> str:
    import json

    told = {"stdout": out.getvalue().decode(errors="replace"), "stderr": err.getvalue().decode(errors="replace")}
    return json.dumps({"schema_version": 1, "exit_code": code, **told})
