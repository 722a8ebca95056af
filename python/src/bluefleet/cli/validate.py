"""`bluefleet validate`: check an inventory before any host is touched."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._control import inventory_of
from bluefleet.cli._fleet import INVALID, refuse
from bluefleet.cli._of_site import OfSite

if TYPE_CHECKING:
    from bluefleet.inventory import Finding

app = typer.Typer()


@app.command()
def validate(
    inventory: OfSite = None,
    site_file: Annotated[
        Path | None,
        typer.Option(
            envvar="BLUEFLEET_SITE_FILE", help="Check this rendered site file only; Ansible is not asked to render it."
        ),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="Check only what the inventory's files say, before any templating.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check an inventory before any host is touched: exit code 0 when it makes sense, 2 when it does not."""
    from bluefleet.inventory import RenderingFailed, everything_wrong, validate_inventory, validate_site_file

    folder, checkout = inventory_of("validate", inventory)
    whole = True
    try:
        if site_file:
            findings = validate_site_file(folder, site_file, checkout)
        elif static:
            findings = validate_inventory(folder, checkout)
        else:
            findings, whole = everything_wrong(folder, checkout)
    except RenderingFailed as error:
        typer.echo(str(error), err=True)
        refuse("Ansible cannot template this inventory", str(folder), "Mend what Ansible names above")
    notes = [finding for finding in findings if finding.note]
    findings = [finding for finding in findings if not finding.note]
    if as_json:
        import json

        def listed(found: "list[Finding]") -> list[dict[str, object]]:
            return [
            {"file": str(each.file), "line": each.line, "host": each.host, "variable": each.variable,
             "value": each.value, "says": each.says, "remedy": each.remedy}
            for each in found
        ]  # fmt: skip

        typer.echo(
            json.dumps(
                {
                    "schema_version": 1,
                    "ok": not findings,
                    "inventory": str(folder),
                    "findings": listed(findings),
                    "notes": listed(notes),
                },
                default=str,
            )
        )
    for finding in findings:
        typer.echo(str(finding), err=True)
    if findings:
        typer.echo(f"{_counted(len(findings))} wrong in {folder}; no host was touched.", err=True)
        if not whole:
            typer.echo("Ansible can't template it as it is: what it makes of the variables is checked then.", err=True)
        raise typer.Exit(INVALID)
    for note in notes:
        typer.echo(str(note), err=True)
    if notes:
        typer.echo(f"{_counted(len(notes))} noted above; nothing has to be done about it.", err=True)
    typer.echo(f"{folder} makes sense.", err=True)


def _counted(things: int) -> str:
    return "1 thing is" if things == 1 else f"{things} things are"
