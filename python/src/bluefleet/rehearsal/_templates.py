"""Whether a template stays on this machine, and away from the site's secrets, when Ansible fills it in."""

from collections.abc import Iterator
from typing import Any, cast

from jinja2 import Environment, TemplateSyntaxError, nodes

ASKS = "its template may ask the site for the value, or read a secret of it"

_LOOKUPS = ("lookup", "query", "q")
# What looks things up on this machine; others run programs, or ask servers of the site. A `template` would have to be read itself.
_LOCAL = frozenset({"dict", "env", "file", "fileglob", "first_found", "items", "sequence", "vars", "varnames"})
_OF_ANSIBLE = "ansible.builtin."
_SECRET_FOLDERS = frozenset({".state", "secrets", "pki"})
# Ansible takes other delimiters from a text that begins so.
_OTHER_DELIMITERS = "#jinja2:"
_DELIMITERS = ("{{", "{%", "{#")
# They bring in what other files say.
_OTHER_FILES = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
# Filters and tests of Ansible are only named here, never called.
_JINJA = Environment(autoescape=False)  # noqa: S701  # nothing is rendered


def asks_others(value: Any) -> bool:
    """Whether a template in the value may reach beyond this machine, or read a secret, when it is filled in."""
    if isinstance(value, str):
        return _is_template(value) and _asks(value)
    if isinstance(value, dict):
        return any(asks_others(each) for each in cast("dict[Any, Any]", value).values())
    return isinstance(value, list) and any(asks_others(each) for each in cast("list[Any]", value))


def _is_template(text: str) -> bool:
    return text.startswith(_OTHER_DELIMITERS) or any(delimiter in text for delimiter in _DELIMITERS)


def _asks(text: str) -> bool:
    if text.startswith(_OTHER_DELIMITERS):
        return True
    try:
        template = _JINJA.parse(text)
    except TemplateSyntaxError:
        return True
    calls = [call for call in template.find_all(nodes.Call) if _is_lookup(call.node)]
    # A lookup that is not called at once may be called by another name.
    uses = [name for name in template.find_all(nodes.Name) if _is_lookup(name)]
    return (
        len(uses) != len(calls)
        or any(True for _ in template.find_all(_OTHER_FILES))
        or not all(map(_is_harmless, calls))
        # Ansible fills in templates that stand in the texts of a template.
        or any(asks_others(constant.value) for constant in template.find_all(nodes.Const))
    )


def _is_lookup(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Name) and node.name in _LOOKUPS


def _is_harmless(call: nodes.Call) -> bool:
    kind = call.args[0] if call.args else None
    if not isinstance(kind, nodes.Const) or not isinstance(kind.value, str):
        return False
    name = kind.value.removeprefix(_OF_ANSIBLE)
    if name != "file":
        return name in _LOCAL
    # More of its paths may be in what is unpacked.
    return call.dyn_args is None and call.dyn_kwargs is None and all(map(_is_open_path, call.args[1:]))


def _is_open_path(term: nodes.Expr) -> bool:
    """Whether it is known which file is read, and that it is none of the site's secrets."""
    if isinstance(term, nodes.List | nodes.Tuple):
        return all(map(_is_open_path, term.items))
    parts = list(_parts(term))
    path = "".join(part or "" for part in parts)
    return None not in parts and not _is_template(path) and _SECRET_FOLDERS.isdisjoint(path.split("/"))


def _parts(term: nodes.Expr) -> Iterator[str | None]:
    """Texts that a path is made of; None for what is known only when it is filled in."""
    if isinstance(term, nodes.Const) and isinstance(term.value, str):
        yield term.value
    elif isinstance(term, nodes.TemplateData):
        yield term.data
    elif isinstance(term, nodes.Concat):
        for node in term.nodes:
            yield from _parts(node)
    elif isinstance(term, nodes.Add):
        yield from _parts(term.left)
        yield from _parts(term.right)
    elif isinstance(term, nodes.Name) and term.name == "inventory_dir":
        yield ""
    else:
        yield None
