"""Every role says what it takes: its defaults, its argument_specs and its README agree."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from patience import PATIENCE

TOP = Path(__file__).resolve().parents[3]
ROLES = sorted(path for path in (TOP / "roles").iterdir() if path.is_dir())


def load(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    """Options of all entry points of a role together."""
    specs = load(role / "meta" / "argument_specs.yml").get("argument_specs", {})
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


def defaults_of(role: Path) -> dict[str, Any]:
    return load(role / "defaults" / "main.yml")


def test_there_are_roles_to_look_at() -> None:
    assert "firewall" in {role.name for role in ROLES}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
class TestRole:
    def test_has_argument_specs(self, role: Path) -> None:
        assert load(role / "meta" / "argument_specs.yml").get("argument_specs"), "meta/argument_specs.yml is missing"

    def test_every_default_is_specified(self, role: Path) -> None:
        assert set(defaults_of(role)) - set(options_of(role)) == set()

    def test_every_option_has_a_default_or_is_required(self, role: Path) -> None:
        optional = {name for name, option in options_of(role).items() if not option.get("required")}
        assert optional - set(defaults_of(role)) == set()

    def test_a_required_option_has_no_default(self, role: Path) -> None:
        required = {name for name, option in options_of(role).items() if option.get("required")}
        assert required & set(defaults_of(role)) == set()

    def test_a_default_that_stands_in_the_specs_too_is_the_same(self, role: Path) -> None:
        defaults = defaults_of(role)
        stated = {name: option["default"] for name, option in options_of(role).items() if "default" in option}
        assert {name: defaults.get(name) for name in stated} == stated

    def test_every_option_has_type_and_description(self, role: Path) -> None:
        bare = [
            name for name, option in options_of(role).items() if not (option.get("type") and option.get("description"))
        ]
        assert bare == []

    def test_variables_start_with_the_name_of_the_role(self, role: Path) -> None:
        # Role _site holds what several roles share, so a name there may also be one of another role.
        # `simulate` is the word that instances say it with, too.
        owners = [role.name] if role.name != "_site" else ["site", "simulate", *(other.name for other in ROLES)]
        prefixes = tuple(owner + "_" for owner in owners)
        assert [name for name in options_of(role) if not name.startswith(prefixes) and name not in owners] == []

    def test_internal_variables_start_with_an_underscore(self, role: Path) -> None:
        if role.name == "_site":  # its lists are what the other roles share
            return
        names = load(role / "vars" / "main.yml")
        assert [name for name in names if not name.startswith(f"_{role.name}_")] == []


def test_readmes_are_made_from_the_specs() -> None:
    done = subprocess.run(
        [sys.executable, TOP / ".ci" / "role-readmes", "--check"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30 * PATIENCE,
    )
    assert done.returncode == 0, done.stderr
