"""`bluefleet images`: which images are on which nodes."""

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    AsJson,
    Categories,
    Deadline,
    Targets,
    chosen_of,
    console,
    declared,
    run,
)

app = typer.Typer()


@app.command()
def images(
    targets: Targets = None, category: Categories = None, deadline: Deadline = 5.0, as_json: AsJson = False
) -> None:
    """Show which of the site's images are on which nodes, and what wants and uses them."""
    from bluefleet.fleet import Settings, images_report

    settings = Settings()
    site = declared(settings)
    chosen = chosen_of(site, targets or [], category or [])
    found = run(images_report(site, settings, chosen, deadline=deadline), "nothing was changed")
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("node", "image", "digest", "size", "used by", "wanted by"):
            table.add_column(heading, no_wrap=True)
        for node in found.nodes:
            for one in node.images:
                size = "not there" if one.bytes is None else f"{one.bytes / 1e6:.0f} MB"
                digest = one.digest.removeprefix("sha256:")[:12]
                used, wanted = ", ".join(one.used_by) or "-", ", ".join(one.wanted_by) or "-"
                table.add_row(node.name, one.image or "-", digest, size, used, wanted)
        console().print(table)
    for node in found.nodes:
        if node.error:
            typer.echo(f"failed: {node.name}: {node.error}. {node.remedy}", err=True)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)
