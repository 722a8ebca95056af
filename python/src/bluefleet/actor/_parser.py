"""What makes a coroutine a command: it ends exactly once, with its result, its failure or its deadline."""

# pyright: basic
# (clu's commands and parsers have no usable types)
from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import click
from clu.parsers.click import CluCommand, CluGroup, command_parser

from bluefleet.actor._fleet import CommandFailed, Fleet
from bluefleet.fleet import CommandInvalid, NoActor, SelectionInvalid, StateUnusable
from bluefleet.site_file import SiteFileInvalid

Body: TypeAlias = Callable[..., Awaitable[dict[str, Any] | None]]
# Of its options a command says how many seconds it has.
Limit: TypeAlias = Callable[[Fleet, dict[str, Any]], float]

_OF_CLU = ("ping", "version", "help", "get_schema", "get-command-model", "keyword")


def make_parser(commands: list[click.Command]) -> CluGroup:
    """What an actor understands. One for each actor: clu adds commands to the one it is given."""
    parser = CluGroup("bluefleet")
    for one in [*(command_parser.commands[name] for name in _OF_CLU), *commands]:
        parser.add_command(one)
    return parser


def fleet_command(name: str, seconds: Limit) -> Callable[[Body], click.Command]:
    """Make a command of a coroutine; it returns the keywords of its last reply, or raises what went wrong."""

    def made(body: Body) -> click.Command:
        @functools.wraps(body)
        async def run(command: Any, fleet: Fleet, **options: Any) -> None:
            limit = 0.0
            try:
                limit = seconds(fleet, options)
                async with asyncio.timeout(limit):
                    last = await body(command, fleet, **options)
            except TimeoutError:
                command.fail(error=f"It did not end within {limit:g} s; `bluefleet history` says how far it got.")
            except (SelectionInvalid, StateUnusable) as error:
                command.fail(error=f"{error}. {error.remedy}.")
            except (CommandFailed, CommandInvalid, NoActor, SiteFileInvalid, OSError) as error:
                command.fail(error=str(error))
            else:
                command.finish(**(last or {}))

        return click.command(name, cls=CluCommand, help=body.__doc__)(run)

    return made
