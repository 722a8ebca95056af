"""YAML that remembers where everything was written.

PyYAML's composed nodes keep line numbers; values are built from them by Ansible's rules. What Ansible encrypts or
templates is kept as text: only Ansible knows what it will be.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from bluefleet.inventory._finding import Finding

_VAULT = "$ANSIBLE_VAULT;"


class _Constructor(yaml.SafeLoader):
    """Builds values from nodes; Ansible's own tags become their text."""


def _text(_: _Constructor, node: yaml.Node) -> str:
    return "{{ " + node.tag + " }}"


for tag in ("!vault", "!vault-encrypted"):
    _Constructor.add_constructor(tag, _text)
_Constructor.add_constructor("!unsafe", _text)


def compose(path: Path) -> tuple[yaml.MappingNode | None, list[Finding]]:
    """Return the file's top mapping (none when it is empty, encrypted or wrong) and what is wrong with the file."""
    try:
        text = path.read_text(encoding="utf-8")
        if text.startswith(_VAULT):
            return None, []
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        says = " ".join(filter(None, (error.context, error.problem)))
        remedy = "Mend the indentation, quotes or brackets at or just above this line"
        return None, [Finding(path, line, says=f"this is no YAML: {says}", remedy=remedy)]
    except (UnicodeDecodeError, yaml.reader.ReaderError) as error:
        return None, [Finding(path, 1, says=f"this is no YAML text: {error}", remedy="Save it as UTF-8 text")]
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"):
        return None, []
    if not isinstance(node, yaml.MappingNode):
        says = f"this file holds a {kind_of(node)} where names with values belong"
        return None, [Finding(path, line_of(node), says=says, remedy="Write it as `name: value` lines")]
    return node, [
        Finding(
            path,
            line,
            variable=key,
            says=f"'{key}' is written twice here, and only the last one counts",
            remedy="Keep one of them",
        )
        for key, line in _repeated_keys(node)
    ]


def is_encrypted(path: Path) -> bool:
    """Say whether Ansible's vault has the whole file."""
    return path.read_bytes().startswith(_VAULT.encode())


def is_tagged(node: yaml.Node) -> bool:
    """Say whether a value, or a part of it, has one of Ansible's own tags."""
    if node.tag.startswith("!"):
        return True
    if isinstance(node, yaml.MappingNode):
        return any(is_tagged(part) for pair in node.value for part in pair)
    return isinstance(node, yaml.SequenceNode) and any(is_tagged(part) for part in node.value)


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen and key.value != "<<":
                yield str(key.value), line_of(key)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else repr(key))
            yield from _repeated_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated_keys(value)


def items(node: yaml.Node | None) -> Iterator[tuple[str, int, yaml.Node]]:
    """Go through a mapping: key, the key's line, the value's node. Anything else has no items."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), line_of(key), value


def value_of(node: yaml.Node) -> Any:
    """Build the value that was written."""
    constructor: Any = _Constructor("")
    try:
        return constructor.construct_document(node)
    finally:
        constructor.dispose()


def line_of(node: yaml.Node) -> int:
    """Return the line, from 1, at which this begins."""
    return node.start_mark.line + 1


def kind_of(node: yaml.Node) -> str:
    """Name what was written, as people do."""
    if isinstance(node, yaml.MappingNode):
        return "mapping"
    return "list" if isinstance(node, yaml.SequenceNode) else "text"


def line_at(node: yaml.Node, path: tuple[str | int, ...]) -> int:
    """Return the line of what `path` leads to below `node`, or of the last part of the way that exists."""
    line = line_of(node)
    for part in path:
        if isinstance(part, int) and isinstance(node, yaml.SequenceNode) and part < len(node.value):
            node = node.value[part]
            line = line_of(node)
            continue
        found = next(((at, child) for key, at, child in items(node) if key == part), None)
        if found is None:
            break
        line, node = found
    return line


def is_template(value: Any) -> bool:
    """Say whether Ansible still has to make a value of it."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(is_template(each) for each in cast("dict[Any, Any]", value).values())
    return isinstance(value, list) and any(is_template(each) for each in cast("list[Any]", value))
