"""The command `bluefleet`, from the command itself: what each verb's --help would say."""

import re
from collections.abc import Iterator

from typer import Context
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from bluefleet.cli._fleet import ALL_WELL, DEGRADED, DIFFERS, INVALID
from bluefleet.cli.main import VERBS, Verb, build

SOURCE = "python/src/bluefleet/cli"

_TOP = f"""\
# The command `bluefleet`

Generated from `{SOURCE}`. On the control machine it is `.venv/bin/bluefleet`, on the manager `bluefleet`, for members of group `bluefleet`.

## Exit codes

| code | meaning |
| --- | --- |
| {ALL_WELL} | all well: everything that was asked for is done, or is as it should be |
| {DEGRADED} | something failed, was refused or is not well, or a node or the manager could not be reached; the rest was done |
| {INVALID} | the request or the site file is invalid; nothing was touched |
| {DIFFERS} | only of `apply --check`: what runs differs from what is desired, also where a plan that runs refuses the change for now |

`bluefleet exec` ends with the exit code of the command it ran, or with {DEGRADED} or {INVALID} when it could not run it.
A check that fails on one node ends with {DEGRADED}, whatever it found on others. With `--json`, stdout is one JSON object
with `schema_version` in it, and what people are told goes to stderr.

## Which site

Without `-i` (or `BLUEFLEET_INVENTORY`) it is the laboratory's, `inventories/lab`. On the manager it is the manager's own.
"""


def page() -> str:
    """Every verb with its arguments and options, as a page."""
    parts = [_TOP, *_parameters(_command([])), ""]
    for name, verb in VERBS.items():
        if not verb.hidden:
            parts += _verb(f"bluefleet {name}", _command([name, "--help"]).commands[name], verb)
    return "\n".join(parts).rstrip("\n") + "\n"


def _command(arguments: list[str]) -> TyperGroup:
    found = get_command(build(arguments))
    if not isinstance(found, TyperGroup):
        raise TypeError(f"bluefleet is a group of verbs, and no {type(found).__name__}")
    return found


def _verb(path: str, command: TyperCommand | TyperGroup, verb: Verb) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from _verb(f"{path} {name}", inner, verb)
        return
    yield f"## `{path}`\n"
    yield _markdown(command.help or verb.help) + "\n"
    usage = command.get_usage(Context(command, info_name=path)).removeprefix("Usage: ")
    where = " It runs where it is typed." if verb.runs_here(path.split()[2:]) else ""
    yield f"`{' '.join(usage.split())}`.{where}\n"
    rows = list(_parameters(command))
    if rows:
        yield from rows
        yield ""


def _parameters(command: TyperCommand | TyperGroup) -> Iterator[str]:
    rows = [row for one in command.params if (row := _row(one))]
    if rows:
        yield "| argument or option | default | what it is |"
        yield "| --- | --- | --- |"
        yield from rows


def _row(parameter: object) -> str | None:
    if not isinstance(parameter, TyperOption | TyperArgument):
        raise TypeError(f"{parameter!r} is neither an option nor an argument")
    if parameter.hidden or "--help" in parameter.opts:
        return None
    words = _markdown(parameter.help or "")
    if parameter.envvar:
        words += f" From the environment: `{parameter.envvar}`."
    return f"| {_name(parameter)} | {_default(parameter)} | {words} |"


def _name(parameter: TyperOption | TyperArgument) -> str:
    if isinstance(parameter, TyperArgument):
        return f"`{parameter.metavar or (parameter.name or '').upper()}`"
    longest = max(parameter.opts, key=len)
    value = "" if parameter.is_flag else f" {parameter.metavar or longest.lstrip('-').upper()}"
    return ", ".join(f"`{one}{value}`" for one in sorted(parameter.opts, key=len, reverse=True))


def _default(parameter: TyperOption | TyperArgument) -> str:
    if parameter.required:
        return "required"
    # A flag that is off and a text that is empty are no defaults worth a word.
    if parameter.default in (None, False, "", ()):
        return ""
    return f"`{parameter.default:g}`" if isinstance(parameter.default, float) else f"`{parameter.default}`"


def _markdown(text: str) -> str:
    """A help text: its paragraphs stay, and `<word>` is no tag."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return re.sub(r"<(\w+)>", r"\\<\1>", "\n\n".join(paragraphs)).replace("|", "\\|")
