"""The option that chooses a site, alike before the verb and behind it."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

OfSite: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--inventory",
        "-i",
        envvar="BLUEFLEET_INVENTORY",
        metavar="FOLDER",
        help="Inventory of the site, inventories/<site>; the laboratory's unless given.",
    ),
]
