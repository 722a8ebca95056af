"""Ansible action: the command `bluefleet` of this checkout is installed on the manager.

It is put together once on the control machine for the manager's own Python, kept as an archive named by the hash of
what it was made from, and sent only to a manager that lacks that hash.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

_MODULE = "manager_command"
# Wheels built for it run on every supported host (Debian 12 has glibc 2.36).
_PLATFORM = "manylinux_2_28"
# Of each kind in the cache: one for each site or so that converges from this checkout.
_KEPT = 3
# Of Debian's package ca-certificates.
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_MAIN = "from bluefleet.cli import main\n\nmain()\n"


def _sources(python: Path) -> Iterator[Path]:
    yield python / "locks" / "manager.txt"
    for path in sorted((python / "src").rglob("*")):
        if (
            path.is_file()
            and "__pycache__" not in path.parts
            and path.suffix != ".pyc"
            and ".egg-info" not in str(path)
        ):
            yield path


def version_of(python: Path, release: str, machine: str) -> str:
    """Name what the command is made from: 12 digits that change with any of it."""
    digest = hashlib.sha256(f"{release} {machine} {_PLATFORM} {_MAIN}".encode())
    for path in _sources(python):
        digest.update(f"{path.relative_to(python)}\0".encode())
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def source_settings(scratch: Path, pip_index: str, ca_bundle: str) -> dict[str, str]:
    """Environment in which uv takes packages from the site's index and trusts the site's authorities besides its own.

    The file it trusts is written into the scratch folder.
    """
    settings = {"UV_DEFAULT_INDEX": pip_index} if pip_index else {}
    if ca_bundle:
        # uv trusts the named file alone.
        own = Path(os.environ.get("SSL_CERT_FILE") or _AUTHORITIES)
        trusted = scratch / "authorities.crt"
        files = {path for path in (own, Path(ca_bundle)) if path.is_file()}
        trusted.write_text("\n".join(path.read_text(encoding="utf-8") for path in files), encoding="utf-8")
        settings["SSL_CERT_FILE"] = str(trusted)
    return settings


def libraries(python: Path, cache: Path, uv: str, release: str, machine: str, *, sources: tuple[str, str]) -> Path:
    """The locked libraries for that Python, in a folder of the cache; fetched once, then no uplink is needed.

    `sources` are the index and the file of authorities, as `source_settings` takes them.
    """
    lock = python / "locks" / "manager.txt"
    made_from = f"{release} {machine} {_PLATFORM} ".encode() + lock.read_bytes()
    folder = cache / f"libraries-{hashlib.sha256(made_from).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    with tempfile.TemporaryDirectory(dir=cache, prefix=".new-") as scratch:
        tree = Path(scratch) / "tree"
        for_that_python = ["--python-version", release, "--python-platform", f"{machine}-{_PLATFORM}"]
        # What clu daemonises with is published as source alone; it is pure Python.
        wheels = ["--only-binary", ":all:", "--no-binary", "daemonocle"]
        exactly_these = [*wheels, "--no-deps", "--require-hashes", "--requirement", str(lock)]
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--target", str(tree), *for_that_python, *exactly_these],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **source_settings(Path(scratch), *sources)},
        )
        shutil.rmtree(tree / "bin", ignore_errors=True)
        tree.replace(folder)
    for old in sorted(cache.glob("libraries-*"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
        shutil.rmtree(old)
    return folder


def build(python: Path, installed: Path, archive: Path) -> None:
    """Make the archive. What is interrupted leaves no archive behind."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".new-") as scratch:
        main = Path(scratch) / "__main__.py"
        main.write_text(_MAIN, encoding="utf-8")
        new = Path(scratch) / "archive"
        with tarfile.open(new, "w:gz", compresslevel=6) as packed:
            # The package is pure Python: its sources are what an installer would copy.
            for path, name in ((installed, "."), (python / "src" / "bluefleet", "bluefleet"), (main, main.name)):
                packed.add(path, arcname=name, filter=_plain)
        new.replace(archive)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(member.name).name == "__pycache__":
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.isdir() else 0o644
    return member


class ActionModule(ActionBase):
    """See the module's documentation for the options."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action."""
        del tmp
        result = super().run(None, task_vars)
        python, cache = Path(self._task.args["source"]), Path(self._task.args["cache"])
        folder = self._task.args["folder"]
        found = self._execute_module(_MODULE, module_args={"folder": folder}, task_vars=task_vars)
        if found.get("failed"):
            return {**result, **found}
        release, machine = found["python"], found["machine"]
        version = version_of(python, release, machine)
        result.update(version=version, path=f"{folder}/{version}", changed=version not in found["installed"])
        if not result["changed"] or self._task.check_mode:
            return result
        archive = self._archive(python, cache, version, release, machine)
        sent = self._transfer_file(
            str(archive), self._connection._shell.join_path(self._remote_tmp(), "command.tar.gz")
        )
        installed = self._execute_module(
            _MODULE, module_args={"folder": folder, "version": version, "archive": sent}, task_vars=task_vars
        )
        installed.pop("invocation", None)
        result.update(installed)
        return result

    def _sources(self) -> tuple[str, str]:
        given = self._task.args.get("pip_index") or "", self._task.args.get("ca_bundle") or ""
        if given[1] and not os.access(given[1], os.R_OK):
            raise AnsibleActionFail(
                f"site_ca_bundle: {given[1]} can't be read; give the path of a file with PEM certificates, or ''"
            )
        return given

    def _remote_tmp(self) -> str:
        return self._connection._shell.tmpdir or self._make_tmp_path()

    def _archive(self, python: Path, cache: Path, version: str, release: str, machine: str) -> Path:
        cache.mkdir(parents=True, exist_ok=True)
        archive = cache / f"{version}.tar.gz"
        with (cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if archive.exists():
                os.utime(archive)
                return archive
            try:
                found = libraries(python, cache, self._task.args["uv"], release, machine, sources=self._sources())
                build(python, found, archive)
            except subprocess.CalledProcessError as error:
                raise AnsibleActionFail(
                    f"the command bluefleet could not be put together for Python {release} on {machine}: "
                    f"{error.stderr.strip()}; the uplink (or site_pip_index, and site_ca_bundle for its authority) is needed "
                    f"for that once, what was made is kept in {cache}"
                ) from error
        for old in sorted(cache.glob("*.tar.gz"), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            old.unlink()
        return archive
