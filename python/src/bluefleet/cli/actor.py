"""`bluefleet actor`: the observatory's door to the fleet, on the manager."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from bluefleet.cli._fleet import ALL_WELL, DEGRADED, AsJson, declared, refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    from bluefleet.actor import ActorSettings, Running
    from bluefleet.fleet import Settings

app = typer.Typer(no_args_is_help=True)

# Seconds that it has to listen, to end with all that goes on, to answer.
_STARTS, _ENDS, _ANSWERS = 20.0, 20.0, 3.0
_LOOK_AGAIN = 0.1

_Config: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="CONFIG", help="Settings in YAML, on the manager; else its actor.yml."),
]
_Debug: TypeAlias = Annotated[
    bool, typer.Option("--debug", help="Stay in the foreground and log to the terminal, until Ctrl-C.")
]
_Log: TypeAlias = Annotated[
    Path | None,
    typer.Option("--log", "--log-file", metavar="FILE", help="Log to this file of the manager too."),
]


@app.callback()
def actor() -> None:
    """Let clients of an observatory command the fleet as they did fliswarm, on the manager's loopback."""


@app.command()
def start(*, config: _Config = None, debug: _Debug = False, log: _Log = None) -> None:
    """Start the actor, and return when it listens; one that runs already is left alone."""
    settings, chosen = _settings(config)
    file = _log_place(settings, log)
    there = _running(settings)
    if there is not None:
        _take_no_options(there, "the actor runs already", config=config, debug=debug, log=log)
        typer.echo(f"the actor runs already, {_words(there)}", err=True)
        raise typer.Exit(ALL_WELL)
    _start(settings, chosen, debug=debug, log=file)


@app.command()
def stop() -> None:
    """End the actor: commands that go on fail and say so. One that does not run is left alone."""
    settings, _ = _settings(None)
    there = _running(settings)
    if there is None:
        typer.echo("the actor does not run", err=True)
        return
    if there.supervised:
        refuse(
            "systemd looks after the actor and would start it again",
            f"process {there.pid}",
            "`sudo systemctl stop bluefleet-actor` on the manager, or `fleet_actor_enabled: false` for good",
        )
    _end(settings, there)
    typer.echo(f"the actor has ended, process {there.pid}", err=True)


@app.command()
def restart(*, config: _Config = None, debug: _Debug = False, log: _Log = None) -> None:
    """End the actor and start it again, with its settings as they are now."""
    settings, chosen = _settings(config)
    file = _log_place(settings, log)
    there = _running(settings)
    if there is not None:
        if there.supervised:
            _take_no_options(there, "systemd starts the actor again", config=config, debug=debug, log=log)
        _end(settings, there)
    if there is None or not there.supervised:
        _start(settings, chosen, debug=debug, log=file)
        return
    deadline = time.monotonic() + _STARTS
    while (after := _running(settings)) is None or not after.pid:
        if time.monotonic() > deadline:
            report(
                f"systemd did not start the actor again within {_STARTS:g} s",
                "bluefleet-actor.service",
                "`systemctl status bluefleet-actor` on the manager says why",
            )
            raise typer.Exit(DEGRADED)
        time.sleep(_LOOK_AGAIN)
    typer.echo(f"the actor runs, {_words(after)}", err=True)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Say whether the actor runs and answers: exit code 1 when it does not."""
    from bluefleet.actor import answers

    settings, _ = _settings(None)
    there = _running(settings)
    well = there is not None and answers(there, within=_ANSWERS)
    if as_json:
        import json
        from dataclasses import asdict

        found = {"schema_version": 1, "ok": well, "answers": well, "actor": asdict(there) if there else None}
        typer.echo(json.dumps(found))
    elif there is None:
        typer.echo("the actor does not run")
    else:
        typer.echo(f"the actor {'runs' if well else 'runs, but does not answer'}, {_words(there)}")
    raise typer.Exit(ALL_WELL if well else DEGRADED)


def _settings(config: Path | None) -> tuple["Settings", "ActorSettings"]:
    """What is declared, and what is chosen; exit code 2 where either is wrong."""
    if find_spec("clu") is None:
        refuse("the actor's library, sdss-clu, is not installed", "this machine", "The actor runs on the manager")
    from bluefleet.actor import ActorSettings, ActorSettingsInvalid
    from bluefleet.fleet import Settings

    settings = Settings()
    declared(settings)
    try:
        return settings, ActorSettings.read(config, settings)
    except ActorSettingsInvalid as error:
        refuse(str(error), str(error.file), error.remedy)


def _log_place(settings: "Settings", log: Path | None) -> Path | None:
    """Where the log really goes, whatever the working directory of the new process is; exit code 2 where none may."""
    from bluefleet.actor import log_outside

    if log is None:
        return None
    try:
        return log_outside(log, (settings.etc, settings.lib))
    except OSError as error:
        refuse(f"no log goes there: {error.strerror}", str(log), "Name a file elsewhere, such as one in /tmp")


def _running(settings: "Settings") -> "Running | None":
    from bluefleet.actor import NotOurs, pid_file, running

    try:
        return running(pid_file(settings))
    except NotOurs as error:
        refuse(str(error), str(error.file), "Remove the file, or run the command as its owner")


def _start(settings: "Settings", chosen: "ActorSettings", *, debug: bool, log: Path | None) -> None:
    from collections.abc import Callable

    from bluefleet.actor import AlreadyRuns, daemonise, serve

    listens = f"it listens at {chosen.host}:{chosen.port}, in {chosen.wire}"

    def work(tell: Callable[[str], None]) -> int:
        try:
            return serve(settings, chosen, log=log, on_stderr=debug, ready=lambda: tell(_READY))
        except AlreadyRuns as error:
            tell(str(error))
        except OSError as error:
            tell(f"{error.filename or f'{chosen.host}:{chosen.port}'}: {error.strerror or error}")
        return DEGRADED

    if not debug:
        said = daemonise(work, within=_STARTS)
        if said != _READY:
            _not_started(said)
        typer.echo(f"the actor runs: {listens}", err=True)
        return
    said_here: list[str] = []

    def tell(words: str) -> None:
        said_here.append(words)
        if words == _READY:
            typer.echo(f"the actor runs: {listens}; Ctrl-C ends it", err=True)

    code = work(tell)
    if said_here and said_here[-1] != _READY:
        _not_started(said_here[-1])
    raise typer.Exit(code)


def _take_no_options(there: "Running", why: str, *, config: Path | None, debug: bool, log: Path | None) -> None:
    """Refuse options that would say nothing to a process that runs, or that another starts."""
    options = {"--config": config, "--debug": debug, "--log": log}
    said = " and ".join(name for name, value in options.items() if value)
    if not said:
        return
    refuse(
        f"{why}, and not with {said}; it was left as it is",
        f"process {there.pid}",
        "Its settings are `fleet_actor` of the inventory, its log `journalctl -u bluefleet-actor`. "
        "To try others: `sudo systemctl stop bluefleet-actor`, then `bluefleet actor start` with them"
        if there.supervised
        else "`bluefleet actor restart` takes them",
    )


# What the new process says when it listens.
_READY = "ready"


def _not_started(why: str) -> None:
    report(f"the actor did not start: {why}", "the manager", "Mend that; `bluefleet actor start --debug` shows its log")
    raise typer.Exit(DEGRADED)


def _end(settings: "Settings", there: "Running") -> None:
    from bluefleet.actor import end, pid_file

    if not end(pid_file(settings), there, within=_ENDS):
        report(
            f"the actor did not end within {_ENDS:g} s",
            f"process {there.pid}",
            f"`sudo kill -KILL {there.pid}` ends it",
        )
        raise typer.Exit(DEGRADED)


def _words(there: "Running") -> str:
    by = " by systemd" if there.supervised else ""
    return f"process {there.pid}{by}, at {there.host}:{there.port}, in {there.wire}"
