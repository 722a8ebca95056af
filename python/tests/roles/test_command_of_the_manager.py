"""The command on the manager: who may use it gets to it through sudo, and who may not is told what to do."""

import subprocess
from pathlib import Path

import pytest
from jinja2 import Environment, StrictUndefined

from bluefleet.checkout import find_checkout
from patience import PATIENCE

TEMPLATE = find_checkout() / "roles" / "fleet" / "templates" / "bluefleet.sh.j2"


def called(
    folder: Path, groups: str, *, rules: bool, uid: int = 1000, python: str = "/usr/bin/python3"
) -> subprocess.CompletedProcess[str]:
    """The command of a person with such groups, and `rules` of sudo of their own or none."""
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(TEMPLATE.read_text())  # noqa: S701 (a shell's)
    text = template.render(
        site_uids={"fleet": 900}, fleet_command="/usr/local/bin/bluefleet", _fleet_command={"path": "/nowhere"}
    )
    programs = {
        "bluefleet": text.replace("/usr/bin/python3", python),
        "id": f'#!/bin/sh\ncase "$1" in -u) echo {uid};; -un) echo ada;; -nG) echo {groups};; esac\n',
        "sudo": f'#!/bin/sh\ncase "$*" in *" -l "*) exit {0 if rules else 1};; esac\necho "$*"\n',
    }
    for name, content in programs.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o755)
    return subprocess.run(
        [folder / "bluefleet", "status", "--json"],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20 * PATIENCE,
        check=False,
    )


@pytest.mark.parametrize(("groups", "rules"), [("ada bluefleet", False), ("ada", True)])
def test_a_member_and_who_has_own_rules_reach_it(tmp_path: Path, groups: str, *, rules: bool) -> None:
    done = called(tmp_path, groups, rules=rules)
    assert (done.returncode, done.stdout) == (0, "-n -u bluefleet -- /usr/local/bin/bluefleet status --json\n")


def test_who_is_no_member_is_told_what_to_join(tmp_path: Path) -> None:
    # A name that begins like the group's is another group.
    done = called(tmp_path, "ada bluefleet-guests", rules=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: ada may not use the fleet" in done.stderr
    assert "Join group bluefleet" in done.stderr


def test_sudo_brings_nobodys_folder_along(tmp_path: Path) -> None:
    (tmp_path / "where").write_text("#!/bin/sh\npwd\n")
    (tmp_path / "where").chmod(0o755)
    assert called(tmp_path, "bluefleet", rules=False, uid=900, python=str(tmp_path / "where")).stdout == "/\n"
