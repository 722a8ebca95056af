"""The folder of a rehearsal on the control machine: written anew each time, with its state kept."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from bluefleet.rehearsal._rehearsal import Rehearsal
from bluefleet.rehearsal._variables import INVENTORY

_MARK = Path("group_vars") / "all" / "rehearsal.yml"
_WRITTEN = ("group_vars", "host_vars")


class NotARehearsal(Exception):
    """The folder is another inventory's rehearsal, or none at all."""


def folder_of(name: str, checkout: Path) -> Path:
    """Where the rehearsal of an inventory of that name is; git ignores it."""
    return checkout / ".cache" / "rehearsal" / name


def addresses_in(folder: Path) -> dict[str, str]:
    """The addresses that hosts have in the rehearsal that is there; none when there is none."""
    try:
        hosts = yaml.safe_load((folder / "hosts.yml").read_text(encoding="utf-8"))["all"]["hosts"]
        return {str(name): str(variables["ansible_host"]) for name, variables in hosts.items()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def refuse_another(folder: Path, source: Path) -> None:
    """Raises NotARehearsal when what is there is of another inventory, whose hosts may be running."""
    if not folder.exists():
        return
    try:
        found = yaml.safe_load((folder / _MARK).read_text(encoding="utf-8"))[INVENTORY]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise NotARehearsal(f"{folder} is no rehearsal: remove it") from error
    if found != str(source):
        raise NotARehearsal(
            f"{folder} is the rehearsal of {found}: end it (make lab-down INVENTORY={found}), or name this one otherwise"
        )


def made_before(source: Path, checkout: Path) -> Path | None:
    """The rehearsal of an inventory as it was made last, whatever became of the inventory; None when there is none.

    Raises NotARehearsal when another inventory's is in its place.
    """
    folder = folder_of(source.name, checkout)
    if not (folder / "hosts.yml").is_file():
        return None
    refuse_another(folder, source)
    return folder


def write(rehearsal: Rehearsal, folder: Path) -> bool:
    """Write the files of a rehearsal, and take away those that it no longer has; say whether anything changed.

    A file that need not change keeps its time: what Ansible rendered of it is still right.
    """
    refuse_another(folder, rehearsal.source)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {folder / path: _text(path, content, rehearsal) for path, content in rehearsal.files.items()}
    there = {path for part in _WRITTEN for path in (folder / part).rglob("*") if path.is_file()}
    surplus = there - set(wanted)
    for path in surplus:
        path.unlink()
    changed = {path: text for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text}
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for part in _WRITTEN:
        for path in (folder / part).glob("*/"):
            if path.is_dir() and not any(path.iterdir()):
                shutil.rmtree(path)
    return bool(surplus or changed)


class _Dumper(yaml.SafeDumper):
    """Writes lists as people do, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  # PyYAML's signature
        return True


def _text(path: str, content: Any, rehearsal: Rehearsal) -> str:
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140)
    return f"# {path} of a rehearsal, made from {rehearsal.source}: change it there, this is written anew.\n{body}"
