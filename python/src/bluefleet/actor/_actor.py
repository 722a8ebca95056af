"""The actor on its two wires. What clu leaves open is closed here: who connects, what can't be parsed, how it ends."""

# pyright: basic
# (clu has no usable types)
from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import click
from clu import Command
from clu.actor import JSONActor
from clu.base import BaseActor
from clu.command import TimedCommand, TimedCommandList
from clu.legacy import LegacyActor
from clu.parsers import ClickParser

from bluefleet import __version__
from bluefleet.actor._commands import COMMANDS
from bluefleet.actor._fleet import Fleet
from bluefleet.actor._keywords import SCHEMA, called, for_legacy, relayed
from bluefleet.actor._parser import make_parser
from bluefleet.actor._server import Server
from bluefleet.fleet import Reply, Target


class _Common(ClickParser, BaseActor):
    """What does not depend on the wire."""

    door: Server
    timed_commands: TimedCommandList
    new_user: Callable[[Any], Any]

    def refusal(self, words: str) -> bytes:
        """A reply to who is no client, or to no command, as the wire spells it."""
        raise NotImplementedError

    def _prepare(self, fleet: Fleet) -> Server:
        """Put in place of clu's what is ours."""
        self.fleet = fleet
        self.parser_args = [fleet]
        self._outside = click.get_current_context(silent=True)
        # The process decides where its log goes; each reply in it would be too much.
        self.log.removeHandler(self.log.sh)
        self.log.propagate = True
        self.log.setLevel(logging.INFO)
        chosen = fleet.actor
        return Server(
            chosen.host,
            chosen.port,
            chosen.group,
            new_user=self.new_user,
            new_command=self.new_command,
            refusal=self.refusal,
        )

    async def start(self) -> Any:
        """Listen, and tell the status now and then."""
        await self.door.start()
        if self.fleet.actor.status_every_seconds:
            self.timed_commands.append(TimedCommand("status", delay=self.fleet.actor.status_every_seconds))
            self.timed_commands.start()
        return self

    async def stop(self) -> None:
        """End: no client comes any more, each command that goes on fails and says so."""
        self.door.stop()
        await self.timed_commands.stop()
        # The name is what clu calls a task by that runs a command.
        going_on = [task for task in asyncio.all_tasks() if hasattr(task, "_command_name")]
        for task in going_on:
            task.cancel()
        await asyncio.gather(*going_on, return_exceptions=True)
        self.door.close_all()

    def new_command(self, transport: Any, command_str: bytes) -> Any:
        """As clu does, but bytes that are no text are answered instead of costing their client the link."""
        try:
            command_str.decode()
        except UnicodeDecodeError:
            transport.write(self.refusal("a command is UTF-8 text"))
            return None
        return super().new_command(transport, command_str)  # type: ignore[call-arg]  # it is the wire's, which takes both

    def parse_command(self, command: Command) -> Command:
        """As clu does, but what can't be taken apart is answered, and contexts of earlier commands are not kept for ever."""
        # The last one stays where `help` looks for its own.
        while click.get_current_context(silent=True) is not self._outside:
            click.globals.pop_context()
        try:
            return super().parse_command(command)
        except (ValueError, click.ClickException, click.exceptions.Exit) as error:
            command.fail(error=f"{command.raw_command_string!r} can't be parsed: {error}")
            return command

    def write(self, *args: Any, **options: Any) -> Any:
        """As clu does; a client that does not read is not written to for ever."""
        super().write(*args, **options)
        self.door.drop_the_deaf()

    def pass_on(self, target: Target, reply: Reply) -> None:
        """Tell everybody what an instance's actor says to nobody in particular."""
        for code, keywords in relayed(called(self.fleet.site(), target), reply.code, reply.keywords):
            self.write(code, keywords, broadcast=True, validate=False)


class JsonFleetActor(_Common, JSONActor):
    """Replies in lines of JSON."""

    def __init__(self, fleet: Fleet) -> None:
        self.parser = make_parser(COMMANDS)
        chosen = fleet.actor
        super().__init__(chosen.name, chosen.host, chosen.port, version=__version__, schema=SCHEMA)
        self.door = self.server = self._prepare(fleet)

    def refusal(self, words: str) -> bytes:
        """See the class above."""
        header = {"command_id": 0, "commander_id": None, "message_code": "f", "internal": False, "sender": self.name}
        return json.dumps({"header": header, "data": {"error": words}}).encode() + b"\n"


class LegacyFleetActor(_Common, LegacyActor):
    """Replies in the text of older clients. It connects to no Tron."""

    def __init__(self, fleet: Fleet) -> None:
        self.parser = make_parser(COMMANDS)
        chosen = fleet.actor
        super().__init__(chosen.name, chosen.host, chosen.port, version=__version__, schema=SCHEMA)
        self.door = self._server = self._prepare(fleet)
        self.set_message_processor(for_legacy)

    def refusal(self, words: str) -> bytes:
        """See the class above."""
        return f"0 0 f error={json.dumps(words)}\n".encode()


def make_actor(fleet: Fleet) -> JsonFleetActor | LegacyFleetActor:
    """The actor with the wire that was chosen. It does not listen yet."""
    return (LegacyFleetActor if fleet.actor.wire == "legacy" else JsonFleetActor)(fleet)
