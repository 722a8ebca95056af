"""Where an engine is, how it is reached, and how long it may take."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The files of a mutual TLS connection: the engines' authority and the manager's own certificate."""

    ca: Path
    certificate: Path
    key: Path

    @classmethod
    def in_folder(cls, folder: Path) -> "ClientCertificate":
        """Docker's own names in one folder (`ca.pem`, `cert.pem`, `key.pem`)."""
        return cls(ca=folder / "ca.pem", certificate=folder / "cert.pem", key=folder / "key.pem")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One node's engine: `url` is what Docker calls a host (`https://…:2376`, `ssh://…`, `http://…`, `unix://…`)."""

    node: str
    url: str
    certificate: ClientCertificate | None = None


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. `answer` bounds a whole question, not just the silence between two bytes of its answer."""

    connect: float = 2.0
    answer: float = 5.0
    change: float = 60.0
    pull: float = 900.0


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """Who pulls from `registry` (host:port); the password stays in its file until it is sent."""

    registry: str
    username: str
    password_file: Path
