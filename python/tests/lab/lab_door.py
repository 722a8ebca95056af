"""The door of the laboratory as it is used on bad days: interrupted, cut off, with another inventory, from another checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_runs import mitogen
from patience import PATIENCE, ends_in

ROOT = Path(__file__).resolve().parents[3]
BIN = ROOT / ".venv" / "bin"
LAB = ROOT / "inventories" / "lab"
SUBNET = "172.30.77.0/24"
ADDRESSES = {"manager": "172.30.77.10", "data": "172.30.77.11", "node1": "172.30.77.21", "node2": "172.30.77.22"}
# What runs in a session of its own would outlive tests that are killed.
LEASH = ("setpriv", "--pdeathsig", "TERM")
# What of the site's state another inventory of the same laboratory shares; what is rendered from it is its own.
SHARED_STATE = ("secrets", "pki", "ssh", "builds", "images.yml")


def shell(*command: str, seconds: float = 120, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program on this machine."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds * PATIENCE, check=False)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def trust() -> ssl.SSLContext:
    """Trust in the laboratory's own authority."""
    return ssl.create_default_context(cafile=str(LAB / ".state" / "pki" / "site" / "bundle.crt"))


def on(host: str, command: str, *, check: bool = True, given: str | None = None, seconds: float = 120) -> str:
    """Run a shell command on a virtual host, past SSH; return what it printed."""
    done = subprocess.run(
        ["docker", "exec", "-i", f"bluefleet-lab-{host}", "bash", "-c", command],
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds * PATIENCE,
        check=False,
    )
    if check and done.returncode != 0:
        raise AssertionError(f"{host}: {command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def bluefleet(*words: str) -> subprocess.CompletedProcess[str]:
    """The command, called on the control machine."""
    return shell(str(BIN / "bluefleet"), *words, check=False)


@contextmanager
def unattended() -> Generator[None, None, None]:
    """The fleet service does not run: what a test breaks stays broken until the test mends it."""
    on("manager", "systemctl stop bluefleet-fleet.service")
    try:
        yield
    finally:
        on("manager", "systemctl start bluefleet-fleet.service")


@contextmanager
def pushed_trial() -> Generator[str]:
    """An image like the IOCs' and yet another one, pushed by the task of fabric: its reference in the site's registry."""
    tags = shell("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "bluefleet/ioc").stdout.split()
    name = "bluefleet/ioc:trial-of-a-test"
    given = f"FROM {tags[0]}\nLABEL trial=1\n"
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"], input=given, text=True, check=True, timeout=60 * PATIENCE
    )
    try:
        pushed = shell(str(BIN / "fab"), "-H", "manager", "push-image", name, "--tag", "trial", seconds=180)
        yield pushed.stdout.strip().splitlines()[-1]
    finally:
        shell("docker", "image", "rm", name)


def assert_looked_after() -> None:
    """The fleet service runs, whoever started it."""
    on("manager", "systemctl is-active bluefleet-fleet.service")


def assert_all_is_well(seconds: float = 60) -> None:
    """Every node answers, every instance is healthy and as declared; what was just started has a minute for it."""
    end = ends_in(seconds)
    while (status := bluefleet("status")).returncode != 0:
        assert time.monotonic() < end, status.stdout + status.stderr
        time.sleep(1)


def as_root(*command: str) -> list[str]:
    """The command as root, on a machine where we may only become it."""
    return list(command) if os.geteuid() == 0 else ["sudo", *command]


def another_inventory(folder: Path) -> Path:
    """A copy of the laboratory's inventory to change: the same hosts, secrets and keys."""
    copy = folder / "lab"
    shutil.copytree(LAB, copy, ignore=shutil.ignore_patterns(".state"))
    (copy / ".state").mkdir(mode=0o700)
    for name in SHARED_STATE:
        (copy / ".state" / name).symlink_to(LAB / ".state" / name)
    return copy


def change(path: Path, old: str, new: str) -> None:
    """Put `new` where `old` stands once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is in {path} {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


@dataclass(frozen=True)
class Finished:
    """What a run of a playbook ended with: exit code, all that was printed (in one line), what the stages callback wrote."""

    code: int
    text: str
    told: dict[str, Any]

    def changed(self) -> dict[str, int]:
        """Hosts that something was changed on, with how many tasks did."""
        return {host: counts["changed"] for host, counts in self.told["hosts"].items() if counts["changed"]}

    def well(self) -> Finished:
        """Itself, if nothing failed."""
        assert self.code == 0, self.text[-3000:]
        return self


class Running:
    """A command that runs as in a terminal: it can be watched, waited for and interrupted."""

    def __init__(self, command: Sequence[str], told: Path, *, folder: Path = ROOT) -> None:
        self._told = told
        told.unlink(missing_ok=True)
        self._lines: list[str] = []
        # A session of its own: Ctrl-C reaches all processes of a terminal's foreground, and not the tests.
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **mitogen(), "BLUEFLEET_STAGES_FILE": str(told), "ANSIBLE_NOCOLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        # Kept beside the figures, for whoever has to find out why a test failed.
        with self._process.stdout as output, self._told.with_suffix(".log").open("a", encoding="utf-8") as log:
            for line in output:
                log.write(line)
                self._lines.append(line.strip())

    def text(self) -> str:
        """What was printed until now."""
        return " ".join(" ".join(self._lines).split())

    def wait_for(self, words: str, seconds: float = 120) -> None:
        """Return when these words were printed."""
        end = ends_in(seconds)
        while words not in self.text():
            if self._process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise AssertionError(f"{words!r} was never printed: {self.text()[-3000:]}")
            time.sleep(0.05)

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it without being asked, if it has not ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def finish(self, seconds: float = 300) -> Finished:
        """Wait for the end."""
        try:
            code = self._process.wait(seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end after {seconds * PATIENCE:g} s: {self.text()[-3000:]}") from None
        self._reader.join(10)
        summary: dict[str, Any] = json.loads(self._told.read_text()) if self._told.exists() else {}
        return Finished(code, self.text(), summary)


class Converge(Running):
    """A playbook that runs."""

    def __init__(
        self,
        told: Path,
        *arguments: str,
        playbook: str = "site.yml",
        inventory: Path = LAB,
        checkout: Path = ROOT,
        prefix: Sequence[str] = (),
    ) -> None:
        program = str(BIN / "ansible-playbook")
        super().__init__([*prefix, *LEASH, program, "-i", str(inventory), playbook, *arguments], told, folder=checkout)


class Mended:
    """Whether a laboratory that a test broke is whole again."""

    def __init__(self) -> None:
        self.whole = False

    def by(self, converge: Finished) -> Finished:
        """The converge that a test expects to mend it."""
        converge.well()
        self.whole = True
        return converge
