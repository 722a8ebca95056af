"""What verbs have in common that go through the site's front door: clients of its edges, progress, what went wrong."""

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from bluefleet.cli._control import need, site_of
from bluefleet.cli._fleet import refuse
from bluefleet.cli._report import report

if TYPE_CHECKING:
    import httpx
    from rich.console import Console

    from bluefleet.inventory import Edge, SiteAddresses, Tiled
    from bluefleet.model import Site


@dataclass(frozen=True)
class FrontDoor:
    """A site that has both pods, as the control machine reaches it."""

    site: "Site"
    addresses: "SiteAddresses"
    edge: "Edge"
    tiled: "Tiled"
    folder: Path

    @property
    def hosts(self) -> tuple[str, str]:
        """Names of the hosts of the acquisition pod and of the data pod."""
        return self._host_of("acquisition"), self._host_of("data")

    @contextmanager
    def clients(self) -> Generator[tuple["httpx.Client", "httpx.Client"]]:
        """Clients of the edges, of the acquisition pod and of the data pod."""
        import httpx

        # The site's own authority, whatever the environment says of others; and no proxy on the way to it.
        with _read(self.edge.ca_file):
            trust = ssl.create_default_context(cafile=str(self.edge.ca_file))

        def client(url: str, key_file: Path) -> httpx.Client:
            with _read(key_file):
                headers = {"Authorization": f"ApiKey {key_file.read_text(encoding='utf-8').strip()}"}
            return httpx.Client(base_url=url, headers=headers, verify=trust, trust_env=False, timeout=30)

        with (
            client(self.edge.url, self.edge.queue_api_key_file) as to_edge,
            client(self.tiled.url.removesuffix("/tiled"), self.tiled.reader_key_file) as to_tiled,
        ):
            yield to_edge, to_tiled

    @contextmanager
    def failures_told(self) -> Generator[None]:
        """A stage of the work that fails ends the command with exit code 1."""
        from bluefleet.first_scan import StageFailed

        try:
            yield
        except StageFailed as error:
            where = f"stage “{error.stage}”, host {error.host} ({self.addresses.hosts[error.host].address})"
            what = "; ".join([error.what, *getattr(error, "__notes__", ())])
            report(what, where, f"read on {error.host}: {error.log}")
            raise typer.Exit(1) from error

    @property
    def command(self) -> str:
        """How this command is typed for this site."""
        if (self.folder.parent.name, self.folder.name) == ("inventories", "lab"):
            return ".venv/bin/bluefleet"
        here = Path.cwd()
        return f".venv/bin/bluefleet -i {self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder}"

    def _host_of(self, group: str) -> str:
        return next(name for name, host in self.addresses.hosts.items() if group in host.groups)


@contextmanager
def _read(file: Path) -> Generator[None]:
    """While one of the site's files is read: what hinders that ends the command with exit code 2."""
    try:
        yield
    # The file's name is ours to say: ssl doesn't.
    except (FileNotFoundError, PermissionError, ssl.SSLError) as error:
        refuse(f"{file}: {error.strerror}", "on this machine", "run site.yml, which makes it")


def front_door(verb: str, inventory: Path | None) -> FrontDoor:
    """That of the site that is meant; exit code 2 where it has none, or this is not the control machine."""
    site, addresses, folder = site_of(verb, inventory)
    need(verb, "httpx", "numpy")
    if addresses.edge is None or addresses.tiled is None:
        refuse(
            "the site has no acquisition pod or no data pod", str(folder), "Put hosts into groups acquisition and data"
        )
    return FrontDoor(site, addresses, addresses.edge, addresses.tiled, folder)


class Stages:
    """A progress bar; where there is no terminal, each new stage is a line."""

    def __init__(self, console: "Console", total: int, bar_width: int) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._console = console
        self._last = ""
        self.bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=bar_width),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self.bar.add_task("", total=total)

    def show(self, stage: str, done: int | None = None, total: int | None = None, how: str = "") -> None:
        """What is done now, how much of all, and how far this is."""
        if not self._console.is_terminal and self._last != stage:
            self._console.print(stage)
        self._last = stage
        self.bar.update(self._task, description=f"{stage}: {how}" if how else stage, completed=done or 0, total=total)
