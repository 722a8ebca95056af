"""What the verbs of the fleet have in common: the site file, the exit codes, colours of states."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias, TypeVar

import typer

from bluefleet.cli._report import report

if TYPE_CHECKING:
    from rich.console import Console

    from bluefleet.fleet import Selection, Settings
    from bluefleet.model import Site

ALL_WELL, DEGRADED, INVALID, DIFFERS = 0, 1, 2, 3

# A line in a pipe or a log is never broken.
_PIPE_WIDTH = 1000

_T = TypeVar("_T")

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Nodes: TypeAlias = Annotated[list[str] | None, typer.Argument(metavar="[NODE]...", help="Only these nodes.")]
Deadline: TypeAlias = Annotated[
    float,
    typer.Option(envvar="BLUEFLEET_DEADLINE", min=0.1, help="Seconds that each node has to answer."),
]


def declared(settings: "Settings", text: str | None = None) -> "Site":
    """The declared site, from its file or from `text`; what declares none ends the command with exit code 2."""
    from bluefleet.site_file import SiteFileInvalid, load_site, parse_site

    try:
        return load_site(settings.site_file) if text is None else parse_site(text, settings.site_file)
    except SiteFileInvalid as error:
        refuse(str(error), str(settings.site_file), "Correct the inventory and run site.yml")


def refuse(what: str, where: str, remedy: str) -> NoReturn:
    """End with exit code 2: the request or the site file is invalid."""
    report(what, where, remedy)
    raise typer.Exit(INVALID)


def chosen_of(site: "Site", targets: Sequence[str], categories: Sequence[str] = ()) -> "Selection":
    """What was chosen; end with exit code 2 when a name is nothing of the site, saying what there is."""
    from bluefleet.fleet import SelectionInvalid, select

    try:
        return select(site, targets, categories)
    except SelectionInvalid as error:
        refuse(str(error), f"site {site.site}", error.remedy)


def run(work: Coroutine[Any, Any, _T], unfinished: str) -> _T:
    """Run it; Ctrl-C ends the command and says what is half done."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        typer.echo(f"interrupted: {unfinished}", err=True)
        raise typer.Exit(DEGRADED) from error


def console(*, stderr: bool = False) -> "Console":
    """A console that colours on a terminal only and never breaks a line in a pipe."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)
