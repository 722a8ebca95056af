"""`bluefleet service`: what looks after the fleet all day."""

import typer

from bluefleet.cli._fleet import declared, refuse
from bluefleet.cli._report import report

app = typer.Typer(no_args_is_help=True)


@app.callback()
def service() -> None:
    """Look after the fleet, and answer over HTTP; on the manager systemd does this."""


@app.command(name="run")
def run_service() -> None:
    """Look after all nodes until it is ended: mend what is not well, answer at the port of the fleet's API."""
    from bluefleet.fleet import Settings
    from bluefleet.service import AlreadyRuns, ServiceSettings, ServiceSettingsInvalid, run
    from bluefleet.site_file import load_site

    settings = Settings()
    declared(settings)
    try:
        chosen = ServiceSettings.of()
    except ServiceSettingsInvalid as error:
        refuse(str(error), error.variable, "Correct the variables of role fleet and run site.yml")
    try:
        code = run(lambda: load_site(settings.site_file), settings, chosen)
    except AlreadyRuns as error:
        report(str(error), str(error.file), "`systemctl status bluefleet-fleet` on the manager shows it")
        raise typer.Exit(1) from error
    except OSError as error:
        where = f"port {chosen.port}, {chosen.socket}" if chosen.socket else f"port {chosen.port}"
        report(f"the fleet's API can't listen: {error.strerror}", where, "Look what listens there: `ss -ltnp`")
        raise typer.Exit(1) from error
    raise typer.Exit(code)
