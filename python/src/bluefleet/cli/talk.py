"""`bluefleet talk`: one command to the actors of many instances."""

from typing import TYPE_CHECKING, Annotated

import typer

from bluefleet.cli._fleet import (
    ALL_WELL,
    DEGRADED,
    AsJson,
    Categories,
    DryRun,
    Everything,
    chosen_of,
    declared,
    refuse,
    run,
    some_of,
    with_state,
)

if TYPE_CHECKING:
    from bluefleet.fleet import Reply, TalkReport, Target

app = typer.Typer()


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def talk(
    words: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to say, as the actor takes it.")],
    *,
    on: Annotated[
        list[str] | None,
        typer.Option("--on", metavar="TARGET", help="Only these: NODE, NODE/INSTANCE or INSTANCE; may be repeated."),
    ] = None,
    category: Categories = None,
    everything: Everything = False,
    dry_run: DryRun = False,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds after which a command counts as failed.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Say a command to many actors at once: replies as they come, one result for each instance, exit code 1 if one failed.

    Who is meant is said by --on, --category or --all, but for status, help, ping and version. What is disabled is left
    out unless it is named. A plan that uses the hardware is not looked for. Options stand before the command: all that
    follows its first word is the actor's.
    """
    from bluefleet.fleet import (
        Call,
        CommandInvalid,
        NoActor,
        Overrides,
        Settings,
        State,
        actor_targets,
        only_asks,
        planned_talk,
    )
    from bluefleet.fleet import talk as say

    settings = Settings()
    site = declared(settings)
    if only_asks(words[0]):
        chosen = chosen_of(site, on or [], category or [])
    else:
        chosen = some_of(site, on or [], category or [], everything=everything)
    try:
        with with_state():
            targets = actor_targets(site, chosen, Overrides.now(State(settings.state_file)))
    except NoActor as error:
        refuse(str(error), f"site {site.site}", "Choose with --on or --category what has one")
    try:
        if dry_run:
            found = planned_talk(site, " ".join(words), targets)
        else:
            found = run(
                say(
                    site,
                    " ".join(words),
                    targets,
                    deadline=deadline,
                    heard=_say_nothing if as_json else _show_reply,
                    noted=None if only_asks(words[0]) else (settings, Call("talk")),
                ),
                "what was said is said; the actors go on with it",
            )
    except CommandInvalid as error:
        refuse(str(error), "COMMAND", "`bluefleet talk help` lists what the actors take")
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        _show(found)
    raise typer.Exit(ALL_WELL if found.ok else DEGRADED)


def _show_reply(target: "Target", reply: "Reply") -> None:
    # The first reply of a command often says no more than that it runs.
    if reply.keywords:
        typer.echo(f"{target.label} | {_keywords(reply.keywords)}")


def _say_nothing(target: "Target", reply: "Reply") -> None:
    del target, reply


def _show(found: "TalkReport") -> None:
    for result in found.results:
        label = f"{result.node}/{result.instance}"
        if found.dry_run:
            typer.echo(f"{label}: would be told: {found.command}", err=True)
        elif result.ok:
            typer.echo(f"{label} | {_keywords(result.keywords)}".rstrip(" |") + f"  done in {result.seconds:.1f} s")
        else:
            typer.echo(
                f"{result.outcome}: {label}: {result.error.rstrip('.')}. {result.remedy}".rstrip(". ") + ".", err=True
            )


def _keywords(keywords: dict[str, object]) -> str:
    import json

    return "; ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in keywords.items()
    )
