"""`bluefleet validate`: check an inventory before any host is touched."""

from pathlib import Path
from typing import Annotated

import typer

from bluefleet.cli._report import report

app = typer.Typer()


@app.command()
def validate(
    inventory: Annotated[
        Path | None,
        typer.Option(
            "--inventory", "-i", envvar="BLUEFLEET_INVENTORY", help="Inventory of the site: inventories/<site>."
        ),
    ] = None,
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
    from bluefleet.checkout import NoCheckout, find_checkout, find_inventory
    from bluefleet.inventory import RenderingFailed, render, validate_inventory, validate_site_file

    try:
        checkout, folder = find_checkout(), find_inventory(inventory)
        findings = [] if site_file else validate_inventory(folder, checkout)
        if not static and not findings:
            rendered = site_file or render(folder, checkout, afresh=True).site_file
            findings = validate_site_file(folder, rendered, checkout)
    except NoCheckout as error:
        report(str(error), str(Path.cwd()), "Run it in a checkout of the project")
        raise typer.Exit(2) from error
    except RenderingFailed as error:
        typer.echo(str(error), err=True)
        report(
            "Ansible cannot template this inventory", str(find_inventory(inventory)), "Mend what Ansible names above"
        )
        raise typer.Exit(2) from error
    if as_json:
        import json

        listed = [
            {"file": str(each.file), "line": each.line, "host": each.host, "variable": each.variable,
             "value": each.value, "says": each.says, "remedy": each.remedy}
            for each in findings
        ]  # fmt: skip
        typer.echo(json.dumps({"schema_version": 1, "inventory": str(folder), "findings": listed}, default=str))
    for finding in findings:
        typer.echo(str(finding), err=True)
    if findings:
        one = "1 thing is" if len(findings) == 1 else f"{len(findings)} things are"
        typer.echo(f"{one} wrong in {folder}; no host was touched.", err=True)
        raise typer.Exit(2)
    typer.echo(f"{folder} makes sense.", err=True)
