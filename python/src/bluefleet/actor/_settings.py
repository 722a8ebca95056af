"""What a site may choose of its actor: a YAML file with one key, `actor`, as files of other clu actors have it."""

import ipaddress
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bluefleet.actor._named_files import read_named
from bluefleet.fleet import Settings

Wire: TypeAlias = Literal["json", "legacy"]


class ActorSettingsInvalid(Exception):
    """The file can't be read, or says what can't be; the message names the keys."""

    def __init__(self, file: Path, says: str, remedy: str) -> None:
        self.file = file
        self.remedy = remedy
        super().__init__(says)


class ActorSettings(BaseModel):
    """How the actor answers. Nodes, images and volumes are the inventory's, and never stand here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="bluefleet", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="What it calls itself in replies"
    )
    host: str = Field(default="127.0.0.1", description="Address of the manager's loopback that it listens at")
    port: int = Field(default=19996, ge=1, le=65535, description="TCP port that it listens at")
    wire: Wire = Field(
        default="json", description="How replies are written: a line of JSON each, or the text of older clients"
    )
    group: str = Field(default="bluefleet", description="Members of this group of the manager may connect")
    status_every_seconds: float = Field(
        default=300, ge=0, description="How often the status is told to everybody connected; 0 for never"
    )
    node_seconds: float = Field(default=5, gt=0, description="What each node has to answer in a status")
    talk_seconds: float = Field(default=60, gt=0, description="What a command of `talk` has, unless it says otherwise")
    mark_seconds: float = Field(default=60, gt=0, description="What `enable` and `disable` have")
    reboot_seconds: float = Field(default=300, gt=0, description="What each node has to be back after a `reboot`")
    reconnect_seconds: float = Field(default=1800, gt=0, description="What each node has in a `reconnect`")

    @field_validator("host")
    @classmethod
    def _is_loopback(cls, value: str) -> str:
        address = ipaddress.ip_address(value)
        if address.version != 4 or not address.is_loopback:
            raise ValueError("the actor knows no passwords and listens on loopback (127.0.0.1) only")
        return value

    @classmethod
    def read(cls, file: Path | None, settings: Settings) -> "ActorSettings":
        """The given file, or the manager's own where there is one. Raises ActorSettingsInvalid."""
        own = settings.etc / "actor.yml"
        if file is None and not own.exists():
            return cls()
        chosen = file or own
        remedy = "Keys are " + ", ".join(cls.model_fields) + "; what belongs to nodes is declared in the inventory"
        try:
            text = own.read_text(encoding="utf-8") if file is None else read_named(file)
            content: Any = yaml.safe_load(text)
        except OSError as error:
            raise ActorSettingsInvalid(
                chosen, f"it can't be read: {error.strerror}", "Name a file that is there, and that everybody may read"
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ActorSettingsInvalid(chosen, f"it is no YAML{_where(error)}", remedy) from error
        if not isinstance(content, dict) or [*cast("dict[Any, Any]", content)] != ["actor"]:
            raise ActorSettingsInvalid(chosen, "it has one key, `actor`, and everything else below that", remedy)
        try:
            return cls.model_validate(content["actor"])
        except ValidationError as error:
            says = "; ".join(f"actor.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise ActorSettingsInvalid(chosen, says, remedy) from error


def _where(error: Exception) -> str:
    """In which line, and nothing that stands there: it may be somebody else's file."""
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return f": line {mark.line + 1}, column {mark.column + 1}" if mark else ""
