"""What playbooks may not do unasked, and what roles and the manager must agree on."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluefleet.fleet import _render

TOP = Path(__file__).resolve().parents[3]
PLAYBOOKS = sorted((TOP / "playbooks").glob("*.yml"))
ROLES = TOP / "roles"


def plays(path: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_no_playbook_gives_itself_leave_to_interrupt_a_run(path: Path) -> None:
    given = {name for play in plays(path) for name in play.get("vars", {})}
    assert not given & {"site_interrupt_runs", "interrupt_runs"}


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_site_may_lack_any_group_that_a_playbook_asks_for(path: Path) -> None:
    asked = re.findall(r"groups\['(\w+)'\](.{0,10})", path.read_text())
    assert [group for group, then in asked if group != "all" and "| default" not in then] == []


def test_rotation_of_secrets_asks_for_a_running_plan_before_it_begins_and_before_pods() -> None:
    """A plan may begin while registry and engines get theirs, and the data pod must not get ahead of Kafka."""
    steps = [
        "ask" if "tasks_from: idle.yml" in yaml.safe_dump(play) else play.get("ansible.builtin.import_playbook", "new")
        for play in plays(TOP / "playbooks" / "rotate_secrets.yml")
    ]
    assert steps == ["ask", "new", "registry.yml", "engines.yml", "ask", "pods.yml", "fleet.yml"]


def test_the_users_of_the_registry_are_named_in_one_place() -> None:
    users = yaml.safe_load((ROLES / "_site" / "vars" / "main.yml").read_text())
    assert users["site_registry_pull_user"] == _render._PULL_USER
    for literal in ("'pull:'", "'push:'", "user: push", "user: pull", "registry_push_user: ", "registry_pull_user: "):
        places = [
            str(path.relative_to(ROLES))
            for path in ROLES.rglob("*")
            if path.suffix in {".yml", ".j2"} and literal in path.read_text().replace("site_registry", "registry")
        ]
        assert set(places) <= {"_site/vars/main.yml"}, f"{literal} is written in {places}"


def test_each_user_of_the_registry_has_a_secret_by_its_name() -> None:
    site = yaml.safe_load((ROLES / "_site" / "vars" / "main.yml").read_text())
    for user in (site["site_registry_push_user"], site["site_registry_pull_user"]):
        assert f"registry_{user}_password" in site["site_secrets"]
