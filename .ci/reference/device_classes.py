"""The device classes of the project, from their source: no EPICS is needed to read it."""

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = "python/src/bluefleet/devices"
_FOLDER = Path(__file__).resolve().parents[2] / SOURCE

# Classes of other projects, which the package only passes on.
_FOREIGN = {
    "Motor": "An EPICS motor record, ophyd-async's own class. `prefix` is the record's name without a dot: its fields `.VAL`, `.RBV`, "
    "`.VELO`, `.STOP` … are found by themselves."
}
_ACCESS = {"SignalR": "read", "SignalRW": "read and set", "SignalW": "set", "SignalX": "do"}

_TOP = f"""\
# Device classes

Generated from `{SOURCE}`. What `class` of a device may name, besides any class of a package in `acquisition_packages`
that can be made from `(prefix, name=…)`, and those of ophyd and ophyd-async. A PV's name is the device's `prefix` and, directly after it,
what the table says. Where a PV is of another type, the device does not connect
([how that looks](../how-to/add-a-device.md#when-it-does-not-connect)). Further arguments are given as `arguments` of the device.
"""


def page() -> str:
    """Every class that `bluefleet.devices` exports, as a page."""
    classes = {
        node.name: node
        for file in sorted(_FOLDER.glob("*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    parts = [_TOP]
    for name in _exported():
        parts.append(f"## `bluefleet.devices.{name}`\n")
        if name in _FOREIGN:
            parts.append(_FOREIGN[name] + "\n")
        else:
            parts += _class(classes[name])
    return "\n".join(parts).rstrip("\n") + "\n"


def _exported() -> list[str]:
    for node in ast.parse((_FOLDER / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    raise LookupError(f"{SOURCE}/__init__.py has no __all__")


def _class(node: ast.ClassDef) -> Iterator[str]:
    paragraphs = (ast.get_docstring(node) or "").replace("``", "`").split("\n\n")
    for paragraph in paragraphs:
        if paragraph.startswith(":param"):
            for parameter in paragraph.removeprefix(":param ").split("\n:param "):
                name, _, words = parameter.partition(": ")
                yield f"- `{name}`: {' '.join(words.split())}"
            yield ""
        else:
            yield " ".join(paragraph.split()) + "\n"
    rows = [row for one in node.body if isinstance(one, ast.AnnAssign) and (row := _signal(one))]
    if rows:
        yield from _table(rows)


def _table(rows: list[list[str]]) -> Iterator[str]:
    yield "| PV: prefix and | type | used to |"
    yield "| --- | --- | --- |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _signal(node: ast.AnnAssign) -> list[str] | None:
    """A row of `name: Annotated[SignalRW[float], PvSuffix("mtr"), …]`; nothing for another annotation."""
    match node.annotation:
        case ast.Subscript(
            value=ast.Name(id="Annotated"),
            slice=ast.Tuple(
                elts=[
                    ast.Subscript(value=ast.Name(id=signal), slice=kind),
                    ast.Call(func=ast.Name(id="PvSuffix"), args=[ast.Constant(value=suffix), *_]),
                    *_,
                ]
            ),
        ):
            return [f"`{suffix}`" if suffix else "nothing", f"`{ast.unparse(kind)}`", _ACCESS.get(signal, signal)]
        case _:
            return None
