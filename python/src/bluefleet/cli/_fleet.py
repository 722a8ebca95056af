"""What the verbs of the fleet have in common: the site file, the exit codes, colours of states."""

import asyncio
import signal
from collections.abc import Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeAlias, TypeVar

import typer

from bluefleet.cli._report import answer_error, report

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

    from bluefleet.fleet import Selection, Settings
    from bluefleet.model import Site

ALL_WELL, DEGRADED, INVALID, DIFFERS = 0, 1, 2, 3

# A line in a pipe or a log is never broken.
_PIPE_WIDTH = 1000

_T = TypeVar("_T")


def one_line(reason: str) -> str:
    """A reason as it was typed; what would move the cursor of others' terminals ends the command with exit code 2."""
    if not reason.isprintable():
        refuse(
            f"the reason has {next(one for one in reason if not one.isprintable())!r} in it, which can't be printed",
            "--reason",
            "Say it in one line of plain text",
        )
    return reason


AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="One JSON object on stdout, nothing else.")]
Targets: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="TARGET", help="Only these: NODE, NODE/INSTANCE, or INSTANCE wherever it is."),
]
Categories: TypeAlias = Annotated[
    list[str] | None, typer.Option("--category", "-c", help="Only what is of this category; may be repeated.")
]
Everything: TypeAlias = Annotated[bool, typer.Option("--all", help="Everything, where no target is named.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Change nothing; show what would be done.")]
Reason: TypeAlias = Annotated[
    str, typer.Option("--reason", "-r", callback=one_line, help="Why; status and history tell it.")
]
InterruptRuns: TypeAlias = Annotated[
    bool, typer.Option("--interrupt-runs", help="Also what takes an instance away from a plan that runs.")
]
Wait: TypeAlias = Annotated[
    float,
    typer.Option(min=0.0, help="Seconds to wait for another operator who works on the same node."),
]
NodeDeadline: TypeAlias = Annotated[
    float, typer.Option("--deadline", min=0.1, help="Seconds after which the work on a node counts as failed.")
]
Deadline: TypeAlias = Annotated[
    float,
    typer.Option(min=0.1, help="Seconds that each node has to answer."),
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


def some_of(site: "Site", targets: Sequence[str], categories: Sequence[str], *, everything: bool) -> "Selection":
    """What was chosen by a verb that changes something: all of the fleet only when that was said."""
    if not targets and not categories and not everything:
        refuse(
            "nothing is chosen",
            f"site {site.site}",
            "Name nodes or instances, a --category, or say --all",
        )
    if targets and everything:
        refuse("--all and targets contradict each other", f"site {site.site}", "Leave one of them out")
    return chosen_of(site, targets, categories)


def since_of(text: str) -> "datetime | None":
    """The time that `10m`, `2h`, `3d` ago was, or that an ISO 8601 text says (UTC when it names no zone)."""
    from datetime import UTC, datetime, timedelta

    if not text:
        return None
    unit = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}.get(text[-1])
    try:
        if unit is not None and text[:-1].isdecimal():
            return datetime.now(UTC) - timedelta(**{unit: int(text[:-1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        refuse(f"{text!r} is no time", "--since", "Right is 30s, 10m, 2h, 3d, or 2026-11-20T14:00")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@contextmanager
def with_state() -> Generator[None, None, None]:
    """Say what is wrong with the file of overrides and history, and end the command with exit code 1."""
    from bluefleet.fleet import StateUnusable

    try:
        yield
    except StateUnusable as error:
        report(str(error), str(error.file), error.remedy)
        raise typer.Exit(DEGRADED) from error


def run(work: Coroutine[Any, Any, _T], unfinished: str) -> _T:
    """Run it; Ctrl-C, or a link that breaks, ends the command and says what is half done."""
    try:
        with with_state():
            return asyncio.run(_until_told(work))
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        typer.echo(f"interrupted: {unfinished}", err=True)
        answer_error("interrupted", "this command", unfinished)
        raise typer.Exit(DEGRADED) from error


async def _until_told(work: Coroutine[Any, Any, _T]) -> _T:
    """Let it clean up whoever ends it: a terminal that is closed, or the manager that shuts down."""
    task = asyncio.current_task()
    for number in (signal.SIGHUP, signal.SIGTERM):
        # Who ignores it (nohup) has a reason.
        if task is not None and signal.getsignal(number) is signal.SIG_DFL:
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


def console(*, stderr: bool = False) -> "Console":
    """A console that colours on a terminal only and never breaks a line in a pipe."""
    from rich.console import Console

    found = Console(stderr=stderr, highlight=False)
    return found if found.is_terminal else Console(stderr=stderr, highlight=False, width=_PIPE_WIDTH)
