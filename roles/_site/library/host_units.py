#!/usr/bin/python
"""Ansible module: systemd units are enabled and run; those that started before their files changed are named."""

import datetime
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: host_units
short_description: Systemd units are enabled and run; those that are older than their files are named
description:
  - Makes systemd read unit files that changed, enables and starts the units, in one call.
  - Is I(changed) also when a unit started before one of its files was last written, so that a handler can restart it.
    A converge that was interrupted between a file and its handler is therefore finished by the next one.
options:
  units:
    description:
      - The units, each with C(name), C(files) (what it reads when it starts, besides its unit files; missing ones are
        ignored), C(stamp) (a file that the unit touches whenever it has read them, also in a reload) and C(enabled)
        (false stops and disables it, and is true of a unit that does not exist).
    type: list
    elements: dict
    required: true
author: bluefleet
"""

RETURN = r"""
stale:
  description: The units that run with older files than there are.
  type: list
  returned: always
"""

_PROPERTIES = (
    "Id,LoadState,UnitFileState,ActiveState,NeedDaemonReload,FragmentPath,DropInPaths,"
    "ExecMainStartTimestamp,ActiveEnterTimestamp"
)


class Units:
    """What systemd says of the units, and what is done about it."""

    def __init__(self, module: AnsibleModule, names: list[str]) -> None:
        """Ask systemd about all units at once."""
        self.module = module
        self.names = names
        self.done: list[str] = []
        self.state: dict[str, dict[str, str]] = {}
        self.look()

    def look(self) -> None:
        """Read the state of the units again."""
        command = [
            "systemctl",
            "show",
            "--timestamp=us+utc",
            f"--property={_PROPERTIES}",
            *self.names,
        ]
        _, out, _ = self.module.run_command(command, check_rc=True)
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in out.strip().split("\n\n")]
        self.state = dict(zip(self.names, blocks, strict=True))

    def act(self, verb: str, *units: str) -> None:
        """`systemctl` with a verb; in check mode only say so."""
        self.done.append(" ".join([*units, verb]))
        if self.module.check_mode:
            return
        code, _, error = self.module.run_command(["systemctl", verb, *units])
        if code:
            log = ["journalctl", "--lines", "15", "--output", "cat", "--no-pager"]
            _, lines, _ = self.module.run_command([*log, *(f"--unit={unit}" for unit in units)])
            self.module.fail_json(msg=f"systemctl {verb} {' '.join(units)} failed: {error.strip()}\n{lines}")

    def run(self, name: str) -> None:
        """The unit is enabled and active."""
        state = self.state[name]
        if state["LoadState"] != "loaded" and not self.module.check_mode:
            self.module.fail_json(msg=f"unit {name} can't be loaded: {state['LoadState']}")
        if state["UnitFileState"] != "enabled":
            self.act("enable", name)
        if state["ActiveState"] not in {"active", "activating", "reloading"}:
            self.act("start", name)

    def rest(self, name: str) -> None:
        """The unit is neither enabled nor active."""
        state = self.state[name]
        if state["UnitFileState"] == "enabled":
            self.act("disable", name)
        if state["ActiveState"] in {"active", "activating", "reloading"}:
            self.act("stop", name)

    def stale_files(self, name: str, files: list[str], stamp: str | None) -> list[str]:
        """What was written after the unit last read its files."""
        state = self.state[name]
        moment = self.last_read(state, stamp)
        if moment is None:
            return []
        paths = [*files, state["FragmentPath"], *state["DropInPaths"].split()]
        return [path for path in paths if path and Path(path).exists() and Path(path).stat().st_mtime > moment]

    @staticmethod
    def last_read(state: dict[str, str], stamp: str | None) -> float | None:
        """When the unit last read its files, in seconds; None when it never did."""
        if stamp and Path(stamp).exists():
            return Path(stamp).stat().st_mtime
        # A timer has no main process.
        text = state.get("ExecMainStartTimestamp") or state.get("ActiveEnterTimestamp") or ""
        if not text:
            return None
        return datetime.datetime.strptime(text.replace("UTC", "+0000"), "%a %Y-%m-%d %H:%M:%S.%f %z").timestamp()


def main() -> None:
    """Run the module."""
    unit = {
        "name": {"type": "str", "required": True},
        "enabled": {"type": "bool", "default": True},
        "files": {"type": "list", "elements": "path", "default": []},
        "stamp": {"type": "path"},
    }
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "options": unit,
                "required": True,
            }
        },
        supports_check_mode=True,
    )
    wanted = {item["name"]: item for item in module.params["units"]}
    units = Units(module, list(wanted))
    running = [name for name, item in wanted.items() if item["enabled"]]
    if any(
        state["NeedDaemonReload"] == "yes" or (state["LoadState"] == "not-found" and name in running)
        for name, state in units.state.items()
    ):
        units.act("daemon-reload")
        units.look()
    # What must rest first: it may hold a port that another needs.
    for name in wanted:
        if name not in running:
            units.rest(name)
    for name in running:
        units.run(name)
    if units.done and not module.check_mode:
        units.look()
    stale = {
        name: files
        for name in running
        if (files := units.stale_files(name, wanted[name]["files"], wanted[name]["stamp"]))
    }
    lines = units.done + [f"{name} is older than {path}" for name, files in stale.items() for path in files]
    module.exit_json(
        changed=bool(lines),
        stale=list(stale),
        done=units.done,
        diff={"before": "", "after": "".join(f"{line}\n" for line in lines)},
    )


if __name__ == "__main__":
    main()
