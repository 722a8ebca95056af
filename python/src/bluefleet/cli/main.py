"""The command `bluefleet`: which verbs there are, and whether they run here or on the manager.

A verb is a module of this package with `app: typer.Typer`. Only the verb that is used is imported, and it imports what
is large inside its functions: the command has 0.4 s to start. A verb with sub-verbs gives its `app` a callback.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

from bluefleet.cli._group import Group
from bluefleet.cli._of_site import OfSite
from bluefleet.cli._place import on_the_manager

_EPILOG = """\b
Exit codes:
  0  all well
  1  something failed, is degraded or does not answer
  2  the request or the site file is invalid; nothing was done
  3  what runs differs from what is desired (apply --check)
`exec` ends with the exit code of its command. With --json stdout holds one object also when something goes wrong:
{"schema_version": 1, "ok": false, "error": {"what", "where", "remedy"}}; words for people are on stderr.
"""
_HELP = ("-h", "--help")


@dataclass(frozen=True)
class Verb:
    """A verb: its module and what it is called there, and which of its sub-verbs run where they are typed (`*`: all)."""

    module: str
    help: str
    local: tuple[str, ...] = ()
    name: str = "app"
    hidden: bool = False
    # What follows its first word is another program's; of these options the next word is the value.
    passes_on: bool = False
    valued: tuple[str, ...] = ()

    def own(self, arguments: Sequence[str]) -> Sequence[str]:
        """Those of the arguments that are this command's to understand."""
        end = list(arguments).index("--") if "--" in arguments else len(arguments)
        if self.passes_on:
            before = ("", *arguments)
            words = (n for n, word in enumerate(arguments) if before[n] not in self.valued and not word.startswith("-"))
            end = min(end, next(words, end))
        return arguments[:end]

    def runs_here(self, arguments: Sequence[str]) -> bool:
        """Say whether the verb with these arguments belongs on the control machine."""
        return "*" in self.local or bool(arguments and arguments[0] in self.local)


_OPERATE = "bluefleet.cli.operate"
_MARK = "bluefleet.cli.mark"
VERBS = {
    "status": Verb("bluefleet.cli.status", "Show every node and instance, worst first, with the reason."),
    "apply": Verb("bluefleet.cli.apply", "Make what runs equal to what is desired."),
    "reconnect": Verb("bluefleet.cli.apply", "The same as apply."),
    "start": Verb(_OPERATE, "Start instances, and end what `stop` said.", name="start"),
    "stop": Verb(_OPERATE, "Stop instances; they stay stopped until `start` or `clear`.", name="stop"),
    "restart": Verb(_OPERATE, "Stop instances and start them again, as they are.", name="restart"),
    "kill": Verb(_OPERATE, "End instances at once; they stay stopped, too.", name="kill"),
    "update": Verb("bluefleet.cli.update", "Bring instances up to date, a few at a time.", name="update"),
    "rollback": Verb("bluefleet.cli.update", "Bring back what instances were before.", name="rollback"),
    "reboot": Verb("bluefleet.cli.reboot", "Reboot nodes, and wait until they are back."),
    "logs": Verb("bluefleet.cli.logs", "Show what instances wrote, before they were made anew too."),
    "exec": Verb("bluefleet.cli.execute", "Run a command inside an instance.", passes_on=True),
    "talk": Verb(
        "bluefleet.cli.talk",
        "Say a command to the actors of many instances.",
        passes_on=True,
        valued=("--on", "--category", "-c", "--deadline"),
    ),
    "enable": Verb(_MARK, "Put into use again what was disabled.", name="enable"),
    "disable": Verb(_MARK, "Take nodes or instances out of use, for plans too.", name="disable"),
    "cordon": Verb(_MARK, "Keep nodes or instances as they are: apply leaves them alone.", name="cordon"),
    "simulate": Verb(_MARK, "Let declared twins stand in for instances.", name="simulate"),
    "clear": Verb(_MARK, "Take overrides away, so that it is as declared again.", name="clear"),
    "actor": Verb("bluefleet.cli.actor", "Start and stop the observatory's door to the fleet."),
    "history": Verb("bluefleet.cli.history", "Show who did what, when, and what came of it."),
    "devices": Verb("bluefleet.cli.devices", "Show the devices that plans can name."),
    "images": Verb("bluefleet.cli.images", "Show which images are on which nodes."),
    "doctor": Verb("bluefleet.cli.doctor", "Look at everything: what is wrong, where, what to do."),
    "service": Verb("bluefleet.cli.service", "Run the fleet service; systemd does it on the manager."),
    "documents": Verb(
        "bluefleet.cli.documents",
        "Follow the document stream; see what waits; verify runs, and send them again.",
        local=("listen",),
    ),
    "validate": Verb("bluefleet.cli.validate", "Check an inventory before any host is touched.", local=("*",)),
    "site": Verb("bluefleet.cli.site", "Show addresses and credential files of the site.", local=("*",)),
    "first-scan": Verb("bluefleet.cli.first_scan", "Queue a scan and read it back: proof of the site.", local=("*",)),
    "examples": Verb("bluefleet.cli.examples", "Queue varied plans: example data to look at.", local=("*",)),
    "completion": Verb("bluefleet.cli.completion", "Print the shell's part of completion.", local=("*",)),
    "complete": Verb("bluefleet.cli.completion", "What may come next.", local=("*",), name="next_word", hidden=True),
}


def choose_site(
    inventory: OfSite = None,
) -> None:
    """Operate a bluefleet site. On the control machine, verbs run on the manager over SSH."""
    # Every verb's own option has the same environment variable.
    if inventory is not None:
        os.environ["BLUEFLEET_INVENTORY"] = str(inventory)


def build(arguments: Sequence[str]) -> typer.Typer:
    """Return the command for a command line: the verb in it is real, of all others there is only the help."""
    used, rest, site_given = _split(arguments)
    own = VERBS[used].own(rest) if used in VERBS else arguments
    before = arguments[: len(arguments) - len(rest)]
    app = typer.Typer(
        cls=Group,
        callback=choose_site,
        epilog=_EPILOG,
        no_args_is_help=True,
        # On the manager sudo takes away the environment by which typer's own completion asks; `completion` does it.
        add_completion=False,
        pretty_exceptions_enable=False,
        # Rich would double the time that --help takes.
        rich_markup_mode=None,
        context_settings={"help_option_names": list(_HELP), "obj": "--json" in (*before, *own)},
    )
    for name, verb in VERBS.items():
        if name != used:
            app.command(name, help=verb.help, hidden=verb.hidden)(_nothing)
        elif verb.runs_here(rest) or set(own) & set(_HELP) or (on_the_manager() and not site_given):
            _add(app, name, verb)
        else:
            app.command(
                name,
                context_settings={
                    "ignore_unknown_options": True,
                    "allow_extra_args": True,
                    "help_option_names": list[str](),
                },
            )(_on_the_manager([name, *rest]))
    return app


def main() -> None:
    """Run the command; programs call this."""
    build(sys.argv[1:])(prog_name="bluefleet")


def _split(arguments: Sequence[str]) -> tuple[str | None, Sequence[str], bool]:
    """Find the verb, what follows it, and whether a site was chosen before it or by the environment."""
    site_given = "BLUEFLEET_INVENTORY" in os.environ
    skip = False
    for position, word in enumerate(arguments):
        if skip:
            skip = False
        elif word in ("-i", "--inventory"):
            skip = site_given = True
        elif word.startswith(("-i", "--inventory=")):
            site_given = True
        elif not word.startswith("-"):
            return word, arguments[position + 1 :], site_given
    return None, [], site_given


def _add(app: typer.Typer, name: str, verb: Verb) -> None:
    of_verb: typer.Typer = getattr(import_module(verb.module), verb.name)
    if of_verb.registered_callback is None and len(of_verb.registered_commands) == 1:
        only = of_verb.registered_commands[0]
        if only.callback is not None:
            words = only.callback.__doc__ or verb.help
            app.command(name, help=words, context_settings=only.context_settings, hidden=verb.hidden)(only.callback)
    else:
        app.add_typer(of_verb, name=name, help=verb.help)


def _on_the_manager(words: Sequence[str]) -> Callable[[typer.Context], None]:
    # As they were typed: typer takes the first `--` away, which may be the command's that `exec` and `talk` pass on.
    def call(_: typer.Context) -> None:
        from bluefleet.cli.remote import run_on_manager

        raise typer.Exit(run_on_manager(words))

    return call


def _nothing() -> None:
    """Stand for a verb that is not used, in the list of verbs."""
