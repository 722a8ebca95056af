"""Refuses variables that no role knows, and values that a role would not take."""

from collections.abc import Iterator
from typing import Any

from bluefleet.inventory._finding import Finding
from bluefleet.inventory._source import Entry, Inventory
from bluefleet.inventory._specs import Option, Roles
from bluefleet.inventory._yaml import is_template
from bluefleet.model import did_you_mean

FREE_PREFIXES = ("ansible_", "local_")
_WORDS_FOR_TYPES = {"bool": "true or false", "int": "a whole number", "list": "a list", "dict": "a mapping"}


def variable_findings(inventory: Inventory, roles: Roles) -> Iterator[Finding]:
    """Check every variable that is written in the inventory, wherever it is."""
    known = sorted(roles.options)
    for host, entry in inventory.entries():
        if entry.name.startswith(FREE_PREFIXES):
            continue
        option = roles.options.get(entry.name)
        if option is None:
            yield Finding(
                entry.file,
                entry.line,
                host,
                entry.name,
                entry.value,
                says="no role knows this variable, so it would do nothing",
                remedy=_nearest(entry.name, known) + " A name beginning with local_ is free for your own use.",
            )
        else:
            yield from _wrong_value(host, entry, option)


def _nearest(name: str, known: list[str]) -> str:
    """Suggest a variable; a list of all of them would help nobody."""
    meant = did_you_mean(name, known)
    return meant if meant.startswith("Did") else "docs/reference lists the variables of each role."


def _wrong_value(host: str | None, entry: Entry, option: Option) -> Iterator[Finding]:
    value = entry.value
    if value is None or is_template(value):
        return
    if option.choices and value not in option.choices:
        choices = [str(choice) for choice in option.choices]
        remedy = f"Role {option.role} takes {', '.join(choices)}. {did_you_mean(str(value), choices)}"
        says = f"{value!r} is none of the choices"
    elif not _fits(value, option.type):
        remedy = f"Role {option.role} takes {_WORDS_FOR_TYPES[option.type]} here"
        says = f"{value!r} is of the wrong kind"
    else:
        return
    yield Finding(entry.file, entry.line, host, entry.name, value, says, remedy)


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "bool":
            return isinstance(value, bool) or str(value).lower() in (
                "yes",
                "no",
                "on",
                "off",
                "true",
                "false",
                "0",
                "1",
            )
        case "int":
            return not isinstance(value, bool) and str(value).lstrip("-").isdigit()
        case "list":
            return isinstance(value, list)
        case "dict":
            return isinstance(value, dict)
        case _:
            return True
