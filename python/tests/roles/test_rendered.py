"""The lookup that renders roles' templates: as Ansible's own does, and without its copy of all variables."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar, trust_as_template

from role_files import load_role_file

TEXT = """\
{% for name in names %}
  {{ name }}: {{ greeting }}
{% endfor %}
path \\d+ {{ "a\\nb" }} {{ whole | to_json }} {{ secret }}

"""


@pytest.fixture(scope="module")
def rendered() -> ModuleType:
    return load_role_file("_site/lookup_plugins/rendered.py")


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "a.j2"
    path.write_text(TEXT)
    return path


def variables() -> dict[str, Any]:
    return {
        "names": ["one", "two"],
        "greeting": trust_as_template("hello {{ whom }}"),
        "whom": "world",
        # No template, because nobody said that it is one.
        "secret": "{{ whom }}",
        "whole": {"words": [trust_as_template("{{ greeting }}")]},
    }


def look_up(module: ModuleType, path: Path, known: Mapping[str, Any], **options: Any) -> Any:
    loader = DataLoader()
    found = module.LookupModule(loader=loader, templar=Templar(loader, dict(known)))
    [value] = found.run([str(path)], variables=known, **options)
    return value


def by_ansible(path: Path) -> Any:
    loader = DataLoader()
    own = lookup_loader.get("template", loader=loader, templar=Templar(loader, variables()))
    return own.run([str(path)], variables=variables())[0]


def test_a_template_is_rendered_as_ansible_itself_renders_it(rendered: ModuleType, template: Path) -> None:
    text = look_up(rendered, template, variables())
    assert text == by_ansible(template)
    assert text == '  one: hello world\n  two: hello world\npath \\d+ a\nb {"words": ["hello world"]} {{ whom }}\n\n'


def test_a_single_expression_keeps_its_kind_as_with_ansible_itself(rendered: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "d.j2"
    path.write_text("{{ names }}")
    assert look_up(rendered, path, variables()) == by_ansible(path) == ["one", "two"]


def test_a_template_knows_where_it_is(rendered: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "b.j2"
    path.write_text("{{ template_fullpath }}")
    assert look_up(rendered, path, {}) == str(path)


def test_no_variable_of_the_host_is_copied_or_changed(rendered: ModuleType, template: Path) -> None:
    class Refuses(dict[str, Any]):
        def __deepcopy__(self, memo: object) -> "Refuses":
            raise AssertionError("copied")

    known = variables() | {"unused": Refuses()}
    before = {name: deepcopy(value) for name, value in known.items() if name != "unused"}
    assert "hello world" in look_up(rendered, template, known)
    assert {name: value for name, value in known.items() if name != "unused"} == before


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("none.j2", {}, "no template .*none.j2"),
        ("a.j2", {"convert_data": False}, "no option is known, and convert_data given"),
    ],
)
def test_what_it_cannot_render_is_said(
    rendered: ModuleType, template: Path, name: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(AnsibleError, match=words):
        look_up(rendered, template.with_name(name), variables(), **options)


def test_a_variable_that_is_not_there_is_named(rendered: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "c.j2"
    path.write_text("{{ missing }}")
    with pytest.raises(AnsibleError, match="missing"):
        look_up(rendered, path, {})
