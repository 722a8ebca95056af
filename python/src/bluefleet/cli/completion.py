"""Completion in a shell: `bluefleet completion bash` prints a function, which asks `bluefleet complete` what may come.

Names come from the site file as it is, without any check: on the manager /etc/bluefleet/fleet.yml, on the control
machine what was rendered last. Asking must be quick and never fail.
"""

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.models import OptionInfo

from bluefleet.cli._fleet import refuse
from bluefleet.cli._place import as_the_fleets_user

app, next_word = typer.Typer(), typer.Typer()

# Verbs whose words are no names of nodes and instances.
_NO_TARGETS = frozenset(
    {"actor", "devices", "documents", "validate", "site", "first-scan", "examples", "completion", "complete", "doctor"}
)
_CATEGORY = ("-c", "--category")
_SITE = ("-i", "--inventory")
_KIND = ("-k", "--kind")
_VERB = "--verb"
# What history tells of, the fleet service's own among it.
_IN_HISTORY = [
    "apply", "start", "stop", "restart", "kill", "update", "rollback", "reboot", "exec", "talk",
    "enable", "disable", "cordon", "simulate", "clear", "reconcile", "give-up",
]  # fmt: skip

# What is asked is the command that is being typed, by whatever path; where that is none (an alias), who printed this.
_BASH = """\
_bluefleet() {
  local IFS=$'\\n' asked=(complete -- "${COMP_WORDS[@]:1:$COMP_CWORD}") next
  next=$("${COMP_WORDS[0]/#\\~\\//$HOME/}" "${asked[@]}" 2>/dev/null || PRINTED_BY "${asked[@]}" 2>/dev/null)
  COMPREPLY=($(compgen -W "$next" -- "${COMP_WORDS[$COMP_CWORD]}"))
}
complete -F _bluefleet bluefleet
"""
_SCRIPTS = {"bash": _BASH, "zsh": "autoload -U +X bashcompinit && bashcompinit\n" + _BASH}


@app.command()
def completion(shell: Annotated[str, typer.Argument(help="bash or zsh.")] = "bash") -> None:
    """Print the function that completes verbs, nodes, instances and categories: `source <(bluefleet completion bash)`.

    On the control machine `source <(.venv/bin/bluefleet completion bash)`: it completes that path as well.
    """
    if shell not in _SCRIPTS:
        refuse(f"there is no completion for {shell}", "bluefleet completion", f"There is one for {', '.join(_SCRIPTS)}")
    typer.echo(_SCRIPTS[shell].replace("PRINTED_BY", shlex.quote(_this_command())), nl=False)


@next_word.command(hidden=True, context_settings={"ignore_unknown_options": True})
def complete(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Print what may stand in place of the last of these words, one a line."""
    for candidate in candidates(words or [""]):
        typer.echo(candidate)


def _this_command() -> str:
    """The command as it was called, wherever the shell goes next."""
    called = sys.argv[0]
    return str(Path(called).absolute()) if "/" in called else called


def candidates(words: Sequence[str]) -> list[str]:
    """What may stand in place of the last word; nothing where nothing is known."""
    from bluefleet.cli.main import VERBS

    *before, begun = words
    folder = next((then for option, then in pairwise(before) if option in _SITE), "")
    verb = next((word for word in _without_values(before) if not word.startswith("-")), "")
    last = before[-1] if before else ""
    if last in _SITE:
        return []
    if not verb:
        return [name for name in VERBS if name.startswith(begun) and not VERBS[name].hidden]
    kind: Literal["targets", "categories"] = "categories" if last in _CATEGORY else "targets"
    words_after = before[before.index(verb) + 1 :]
    # Of verbs with sub-verbs, the one that was said.
    sub = next((word for word in words_after if word in _sub_verbs(verb)), "")
    if last == _VERB:
        known = _IN_HISTORY
    elif last in _KIND:
        known = ["stopped", "disabled", "cordoned", "pinned", "rolled-back", "simulated"]
    elif begun.startswith("-"):
        known = _options(verb, sub)
    elif verb == "completion" and not words_after:
        known = list(_SCRIPTS)
    elif _sub_verbs(verb) and not sub:
        known = _sub_verbs(verb)
    elif verb not in _NO_TARGETS or (verb, sub) == ("devices", "list"):
        known = _names(folder)[kind]
    else:
        known = []
    return sorted(name for name in known if name.startswith(begun))


def _without_values(words: Sequence[str]) -> list[str]:
    return [word for position, word in enumerate(words) if not position or words[position - 1] not in _SITE]


def _commands(verb: str) -> dict[str, Callable[..., object]]:
    """What a verb does, by the names of its sub-verbs; a verb without any has one, without a name."""
    from importlib import import_module

    from bluefleet.cli.main import VERBS

    if verb not in VERBS:
        return {}
    app: typer.Typer = getattr(import_module(VERBS[verb].module), VERBS[verb].name)
    alone = app.registered_callback is None and len(app.registered_commands) == 1
    return {
        "" if alone else one.name or one.callback.__name__.replace("_", "-"): one.callback
        for one in app.registered_commands
        if one.callback is not None and (alone or not one.hidden)
    }


def _sub_verbs(verb: str) -> list[str]:
    return [name for name in _commands(verb) if name]


def _options(verb: str, sub: str) -> list[str]:
    import inspect

    command = _commands(verb).get(sub)
    found = {"--help"}
    for name, parameter in inspect.signature(command).parameters.items() if command is not None else ():
        option = next(
            (one for one in getattr(parameter.annotation, "__metadata__", ()) if isinstance(one, OptionInfo)), None
        )
        if option is not None:
            # Of several spellings typer takes the first for a default, until the command is put together.
            said: list[object] = [option.default, *(option.param_decls or ())]
            spelled = [one for one in said if isinstance(one, str) and one.startswith("--")]
            found.update(spelled or [f"--{name.replace('_', '-')}"])
    return sorted(found)


def _names(folder: str) -> dict[str, list[str]]:
    """Targets and categories of the site; none when its file is not there, or no site file."""
    import yaml

    try:
        site: Any = yaml.load(_site_file(folder).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        nodes: list[Any] = site["nodes"]
        targets = [node["name"] for node in nodes]
        categories: set[str] = set()
        for node in nodes:
            categories.update(node.get("categories") or ())
            for instance in node.get("instances") or ():
                targets += [instance["name"], f"{node['name']}/{instance['name']}"]
                categories.update(instance.get("categories") or ())
    except (OSError, yaml.YAMLError, TypeError, KeyError, AttributeError):
        return {"targets": [], "categories": []}
    return {"targets": sorted(set(targets)), "categories": sorted(categories)}


def _site_file(folder: str) -> Path:
    here = Path(os.environ.get("BLUEFLEET_ETC", "/etc/bluefleet")) / "fleet.yml"
    if here.exists() and (not folder or as_the_fleets_user()):
        return here
    from bluefleet.checkout import NoCheckout, find_inventory

    try:
        return find_inventory(Path(folder) if folder else None) / ".state" / "site.yml"
    except NoCheckout:
        return here
