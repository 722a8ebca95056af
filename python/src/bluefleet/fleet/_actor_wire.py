"""The line-JSON wire of an actor (clu's JSONActor): what a command is written as, and what a reply line says.

A command is ``<id> <words>``; each reply is one line, ``{"header": {"command_id", "message_code", "sender", …}, "data": {…}}``.
A command ends with code ``:`` (done) or ``f`` (failed). A reply without a command's id is a broadcast.
"""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

ENDS = {":": "done", "f": "failed"}
# clu drops the connection of who sends a longer line than asyncio's 64 KiB.
LONGEST_COMMAND = 32 * 1024


class _Header(BaseModel):
    command_id: int | None
    message_code: str
    sender: str | None = None


class _Line(BaseModel):
    header: _Header
    data: dict[str, Any] | None = None


class ActorError(Exception):
    """A command to an actor that did not get its end: what was tried against whom, why not, and what to do next."""

    def __init__(self, tried: str, reason: str, remedy: str) -> None:
        self.tried = tried
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{tried}: {reason}. {remedy}")


class ActorUnreachable(ActorError):
    """Nothing answers at its address; the command was not sent."""


class ActorLost(ActorError):
    """The link ended, or went silent, before the command did; it may have been carried out."""


class ActorTimeout(ActorError):
    """The command did not end within its deadline; it may still be going on."""


class CommandInvalid(Exception):
    """Words that can't be sent to an actor."""


class NoReply(Exception):
    """A line that is no reply of an actor."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. `command_id` is 0 or none for a broadcast."""

    command_id: int | None
    code: str
    sender: str = ""
    keywords: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def ends(self) -> bool:
        """Whether it is the last one of its command."""
        return self.code in ENDS

    @property
    def error(self) -> str:
        """What went wrong, in the actor's words."""
        return str(self.keywords.get("error", ""))


def check_command(command: str) -> str:
    """Return the words as they are sent; raises CommandInvalid where they would be another command, or several."""
    words = command.strip()
    if not words:
        raise CommandInvalid("there is no command; for example: status")
    if not words.isprintable():
        raise CommandInvalid("a command is one line of printable characters")
    if len(words.encode()) > LONGEST_COMMAND:
        raise CommandInvalid(f"a command has at most {LONGEST_COMMAND} bytes")
    return words


def command_line(number: int, command: str) -> bytes:
    """What is written for a command."""
    return f"{number} {command}\n".encode()


def parse_reply(line: bytes) -> Reply:
    """Read a reply line; raises NoReply with what it says instead."""
    try:
        reply = _Line.model_validate_json(line)
    except ValidationError:
        raise NoReply(f"it answers something that is no actor's reply: {line[:80]!r}") from None
    header = reply.header
    return Reply(header.command_id, header.message_code, header.sender or "", reply.data or {})
