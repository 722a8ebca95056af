#!/usr/bin/python
"""Ansible module: a set of files and folders of one host is exactly as declared, in one call.

Run through the action of the same name, which reads or renders the contents on the control machine.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import grp
import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_files
short_description: A set of files and folders of one host is exactly as declared, in one call
description:
  - Writes only what differs, each file in one step (a reader sees the old or the new content),
    with owner and mode set before the name.
  - What has the name is opened once, and is looked at, read and given to its owner through that. So nobody who may
    change a folder can have root read, or give away, another file in its place. A link is followed in one case, where
    root made it in place of a declared folder.
  - One call where a task for each file would need as many connections.
options:
  files:
    description:
      - The files, each with C(path), C(mode), C(owner), C(group) (names or numbers) and one of C(content) (text, or a
        mapping that is written as JSON) and C(source) (a file on the control machine). Missing parent folders are
        made, mode 0755.
      - C(secret) keeps content out of diffs. Contents are never logged or returned.
      - C(validate) is a command that must accept the new file, named C(%s) in it, before it takes its place.
      - C(when) false leaves the entry out; C(where) does on a host that has no folder of that path.
    type: list
    elements: dict
    default: []
  folders:
    description: Folders, each with C(path), C(mode), C(owner), C(group) and C(when).
    type: list
    elements: dict
    default: []
  absent:
    description: Paths that must not exist. Folders are removed with what is in them.
    type: list
    elements: path
    default: []
  contents:
    description: Filled in by the action, one for each of I(files).
    type: list
    elements: str
    default: []
author: bluefleet
"""

RETURN = r"""
changed_paths:
  description: What was (or in check mode would be) written, altered or removed.
  type: list
  returned: always
"""

_ITEM = {
    "path": {"type": "path", "required": True},
    "mode": {"type": "str", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
_FILE = {
    **_ITEM,
    "secret": {"type": "bool", "default": False, "no_log": False},
    "validate": {"type": "str"},
    "where": {"type": "path"},
}


class NotAccepted(Exception):
    """A file was refused by the command that validates it, or a link by this module; what was there is still there."""


def uid(name: str) -> int:
    """The number of a user given by name or number."""
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def gid(name: str) -> int:
    """The number of a group given by name or number."""
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


class Opened:
    """A file or folder that is open: it stays what it is, whatever its name comes to stand for."""

    def __init__(self, path: Path, descriptor: int) -> None:
        """Take the descriptor over."""
        self.path = path
        self.descriptor = descriptor
        self.status = os.fstat(descriptor)

    def __enter__(self) -> Opened:
        """Keep it open for a while."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        os.close(self.descriptor)

    def read(self) -> bytes:
        """All that is in it."""
        with os.fdopen(self.descriptor, "rb", closefd=False) as stream:
            return stream.read()

    def give(self, item: dict[str, str]) -> None:
        """Give it owner and mode; the owner first, because that takes rights away from the mode."""
        os.fchown(self.descriptor, uid(item["owner"]), gid(item["group"]))
        os.fchmod(self.descriptor, int(item["mode"], 8))


def opened_folder(path: Path) -> Opened | None:
    """The folder of that name, or the one to which a link leads that root made (a disk of its own for it); None without."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        if not path.is_symlink():
            return Opened(path, os.open(path, flags | os.O_NOFOLLOW))
        if path.lstat().st_uid != 0 or path.parent.stat().st_uid != 0:
            raise NotAccepted("it is a link, and not root made it; remove it")
        return Opened(path, os.open(path, flags))
    except FileNotFoundError:
        return None


def opened_file(path: Path) -> Opened | None:
    """The regular file of that name; None where there is none, or something else."""
    try:
        # Without waiting: somebody may have put a pipe there.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # a link, a socket
            return None
        raise
    found = Opened(path, descriptor)
    if stat.S_ISREG(found.status.st_mode):
        return found
    os.close(descriptor)
    return None


class Host:
    """Applies entries, or in check mode only finds what differs."""

    def __init__(self, module: AnsibleModule) -> None:
        """Start with nothing changed."""
        self.module = module
        self.check = module.check_mode
        self.changed: list[str] = []
        self.diffs: list[dict[str, str]] = []

    def folder(self, item: dict[str, str]) -> None:
        """The folder exists, with owner and mode."""
        path = Path(item["path"])
        found = opened_folder(path)
        if found is not None:
            with found:
                self._attributes(found, item)
            return
        self._note(path, "absent\n", "folder\n")
        if self.check:
            return
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        made = opened_folder(path)
        if made is None:
            raise FileNotFoundError("it went as soon as it was made")
        with made:
            made.give(item)

    def file(self, item: dict[str, str], content: bytes | None) -> None:
        """The file has this content, owner and mode; None is a content that check mode can't know yet."""
        path = Path(item["path"])
        with contextlib.ExitStack() as stack:
            found = opened_file(path)
            current = None if found is None else stack.enter_context(found).read()
            if found is not None and current == content:
                self._attributes(found, item)
                return
        if item["secret"] or content is None:
            self._note(path, "(not shown)\n", "(not shown, differs)\n")
        else:
            self._note(
                path,
                (current or b"").decode(errors="replace"),
                content.decode(errors="replace"),
            )
        if self.check or content is None:
            return
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._write(path, item, content)

    def remove(self, path: Path) -> None:
        """Nothing is there."""
        if not os.path.lexists(path):
            return
        self._note(path, "present\n", "absent\n")
        if self.check:
            return
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()

    def _attributes(self, found: Opened, item: dict[str, str]) -> None:
        mode = int(item["mode"], 8)
        try:
            owner = (uid(item["owner"]), gid(item["group"]))
        except KeyError:
            # In check mode the user may be made by a task that was only pretended.
            if not self.check:
                raise
            return
        actual = (stat.S_IMODE(found.status.st_mode), (found.status.st_uid, found.status.st_gid))
        if actual == (mode, owner):
            return
        self._note(
            found.path,
            f"mode {actual[0]:04o} owner {actual[1]}\n",
            f"mode {mode:04o} owner {owner}\n",
        )
        if not self.check:
            found.give(item)

    def _write(self, path: Path, item: dict[str, str], content: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                os.fchown(stream.fileno(), uid(item["owner"]), gid(item["group"]))
                os.fchmod(stream.fileno(), int(item["mode"], 8))
                stream.flush()
                os.fsync(stream.fileno())
            self._validate(item, temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _validate(self, item: dict[str, str], temporary: Path) -> None:
        if not item.get("validate"):
            return
        command = [word.replace("%s", str(temporary)) for word in item["validate"].split()]
        code, out, complaint = self.module.run_command(command)
        if code != 0:
            raise NotAccepted(f"{' '.join(command)} refuses it: {(complaint or out).strip()}")

    def _note(self, path: Path, before: str, after: str) -> None:
        name = str(path)
        if name not in self.changed:
            self.changed.append(name)
        self.diffs.append(
            {
                "before_header": name,
                "after_header": name,
                "before": before,
                "after": after,
            }
        )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "options": _FILE,
                "default": [],
            },
            "folders": {
                "type": "list",
                "elements": "dict",
                "options": _ITEM,
                "default": [],
            },
            "absent": {"type": "list", "elements": "path", "default": []},
            "contents": {
                "type": "list",
                "elements": "str",
                "default": [],
                "no_log": True,
            },
        },
        supports_check_mode=True,
    )
    parameters = module.params
    if len(parameters["files"]) != len(parameters["contents"]):
        module.fail_json(msg="host_files runs through its action, which reads the contents")
    host = Host(module)
    path = ""
    try:
        for item in parameters["folders"]:
            path = item["path"]
            host.folder(item)
        for item, content in zip(parameters["files"], parameters["contents"], strict=True):
            path = item["path"]
            if item["where"] and not Path(item["where"]).is_dir():
                continue
            # Empty base64 is an empty file; "-" is a source that check mode has not made.
            host.file(item, None if content == "-" else base64.b64decode(content))
        for path in parameters["absent"]:
            host.remove(Path(path))
    except (OSError, KeyError, NotAccepted) as error:
        module.fail_json(msg=f"{path}: {error}", changed_paths=host.changed)
    module.exit_json(changed=bool(host.changed), changed_paths=host.changed, diff=host.diffs)


if __name__ == "__main__":
    # Folders above a file are 0755 whatever root's umask: users of containers pass through them.
    os.umask(0o022)
    main()
