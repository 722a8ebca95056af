"""Settings of the services, from the environment: field `kafka_bootstrap` is `BLUEFLEET_KAFKA_BOOTSTRAP`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bluefleet.documents.errors import SettingsWrong

PREFIX = "BLUEFLEET_"
GIB = 1024**3
#: The sinks' groups of consumers, which Kafka lets nobody else use.
MONGO_SINK = "mongo-sink"
TILED_SINK = "tiled-sink"


class Settings(BaseModel):
    """What every service of the document path needs to know."""

    model_config = ConfigDict(frozen=True)

    site: str = Field(default="lab", description="name of the site; begins the topic's name")
    status_port: int = Field(default=8400, ge=1, le=65535, description="where /status and /healthz answer")
    status_key_file: Path | None = Field(default=None, description="file with the key to what is said of runs")
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    kafka_bootstrap: str = Field(default="kafka:9092", description="host:port of Kafka")
    kafka_ca_file: Path | None = Field(default=None, description="certificates to verify Kafka's with")
    kafka_username: str | None = Field(
        default=None, description="user of the TLS listener; unset = the pod's plaintext listener"
    )
    kafka_password_file: Path | None = Field(default=None, description="file with that user's password")

    @property
    def status_key(self) -> str | None:
        """The key, if there is one."""
        return read_secret(self.status_key_file) if self.status_key_file else None

    @property
    def topic(self) -> str:
        """The topic of documents."""
        return f"{self.site}.bluesky.documents"

    @property
    def dead_topic(self) -> str:
        """The topic of documents that could not be stored."""
        return f"{self.topic}.dead"

    @property
    def status_topic(self) -> str:
        """The topic in which forwarders of desktops tell how they are."""
        return f"{self.topic}.status"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read them. Raises SettingsWrong naming the variable."""
        given: dict[str, Any] = {
            name: environment[PREFIX + name.upper()]
            for name in cls.model_fields
            if environment.get(PREFIX + name.upper())
        }
        try:
            return cls(**given)
        except ValidationError as error:
            lines = [f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors()]
            raise SettingsWrong("; ".join(lines)) from error

    def group(self, name: str) -> str:
        """Under which Kafka keeps the position of this site's service of that name."""
        return f"{self.site}-{name}"


class ForwarderSettings(Settings):
    """Of the forwarder."""

    spool_dir: Path = Field(
        default=Path("/spool"), description="folder of the spools, or of one folder for each person"
    )
    desktop: str = Field(default="", description="the desktop whose terminals it serves; unset = the pod's forwarder")
    makes_topics: bool = Field(
        default=True, description="whether it may make topics; where not, another forwarder does"
    )
    keep_days: float = Field(default=7.0, ge=0, description="how long delivered documents stay in the spool")
    spool_limit_bytes: int = Field(default=20 * GIB, gt=0, description="size at which a spool is full")
    kafka_retention_bytes: int = Field(default=50 * GIB, gt=0, description="size of the topic; time is no limit")

    def spools(self) -> list[Path]:
        """Every spool that there is."""
        return sorted([*self.spool_dir.glob("*.sqlite"), *self.spool_dir.glob("*/*.sqlite")])

    def writer_of(self, spool: Path) -> str:
        """Whose spool that is, by its place: two people may have spools of one name."""
        return spool.relative_to(self.spool_dir).with_suffix("").as_posix()


class MongoSettings(Settings):
    """Of the Mongo sink."""

    mongo_uri: str = Field(default="mongodb://mongo:27017", description="the database server")
    kafka_group: str = Field(default=MONGO_SINK, description="name under which Kafka keeps this sink's position")

    @property
    def database(self) -> str:
        """The database's name."""
        return f"{self.site}-bluesky-documents"


class TiledSettings(Settings):
    """Of the Tiled sink."""

    tiled_uri: str = Field(default="http://tiled:8000", description="the Tiled server")
    tiled_api_key_file: Path | None = Field(default=None, description="file with a key that may write")
    kafka_group: str = Field(default=TILED_SINK, description="name under which Kafka keeps this sink's position")
    frames_folders: tuple[Path, ...] = Field(
        default=(), description="folders that the Tiled server reads frames from, with a colon between two"
    )

    @field_validator("frames_folders", mode="before")
    @classmethod
    def _apart(cls, given: object) -> object:
        return tuple(given.split(":")) if isinstance(given, str) else given


class ListenerSettings(Settings):
    """Of a listener."""


def read_secret(path: Path) -> str:
    """A secret's text. Raises SettingsWrong naming the file."""
    try:
        return path.read_text().strip()
    except OSError as error:
        raise SettingsWrong(f"{path}: {error.strerror}") from error
