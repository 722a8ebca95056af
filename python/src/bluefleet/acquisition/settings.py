"""What a RunEngine is told by its environment variables. Secrets are files; only their paths are here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class SettingMissing(Exception):
    """An environment variable that the start-up needs isn't set."""


class SettingWrong(Exception):
    """An environment variable says what can't be."""


SCREENS = ("log", "text", "windows")


@dataclass(frozen=True)
class Settings:
    """Where the start-up finds things.

    :param fleet_file: the declared site (``BLUEFLEET_FLEET_FILE``)
    :param devices_file: the device registry that ``bluefleet apply`` writes (``BLUEFLEET_DEVICES_FILE``)
    :param spool_dir: where documents are spooled (``BLUEFLEET_SPOOL_DIR``)
    :param spool_limit_bytes: size at which the spool is full (``BLUEFLEET_SPOOL_LIMIT_BYTES``)
    :param connections_file: where to write which devices answer (``BLUEFLEET_CONNECTIONS_FILE``, optional)
    :param redis_address: host:port of the Redis that keeps ``RE.md`` (``BLUEFLEET_REDIS_ADDRESS``; without it
        ``scan_id`` starts at 1 in every process)
    :param redis_password_file: (``BLUEFLEET_REDIS_PASSWORD_FILE``, optional)
    :param redis_username: whom Redis knows by that password (``BLUEFLEET_REDIS_USERNAME``; without it the default user)
    :param redis_ca_file: certificates to verify Redis' with (``BLUEFLEET_REDIS_CA_FILE``; without it no TLS)
    :param writer: name of this RunEngine's spool file (``BLUEFLEET_WRITER``)
    :param desktop: the desktop that this terminal runs on (``BLUEFLEET_DESKTOP``; the queue's worker has none)
    :param checkouts: what a developer runs instead of the image's packages, each by its name with ``-`` for ``_``: a path
        and its commit (``BLUEFLEET_CHECKOUTS``, a JSON object)
    :param screen: who watches (``BLUEFLEET_SCREEN``): ``log`` is nobody, a line an event; ``text`` a person at a
        terminal, ``windows`` one with a display
    """

    fleet_file: Path
    devices_file: Path
    spool_dir: Path
    spool_limit_bytes: int = 20 * 1024**3
    connections_file: Path | None = None
    redis_address: str | None = None
    redis_password_file: Path | None = None
    redis_username: str | None = None
    redis_ca_file: Path | None = None
    writer: str = "worker"
    desktop: str = ""
    checkouts: Mapping[str, str] = field(default_factory=dict[str, str])
    screen: str = "log"

    @property
    def redis_password(self) -> str | None:
        """What the file holds."""
        return self.redis_password_file.read_text(encoding="utf-8").strip() if self.redis_password_file else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        def needed(name: str) -> Path:
            if not environment.get(name):
                raise SettingMissing(f"environment variable {name} is not set; compose.yml of the pod sets it")
            return Path(environment[name])

        def optional(name: str) -> Path | None:
            return Path(environment[name]) if environment.get(name) else None

        def screen() -> str:
            found = environment.get("BLUEFLEET_SCREEN") or cls.screen
            if found not in SCREENS:
                raise SettingWrong(f"BLUEFLEET_SCREEN is {found}; it can be {', '.join(SCREENS)}")
            return found

        return cls(
            fleet_file=needed("BLUEFLEET_FLEET_FILE"),
            devices_file=needed("BLUEFLEET_DEVICES_FILE"),
            spool_dir=needed("BLUEFLEET_SPOOL_DIR"),
            spool_limit_bytes=int(environment.get("BLUEFLEET_SPOOL_LIMIT_BYTES") or cls.spool_limit_bytes),
            connections_file=optional("BLUEFLEET_CONNECTIONS_FILE"),
            redis_address=environment.get("BLUEFLEET_REDIS_ADDRESS") or None,
            redis_password_file=optional("BLUEFLEET_REDIS_PASSWORD_FILE"),
            redis_username=environment.get("BLUEFLEET_REDIS_USERNAME") or None,
            redis_ca_file=optional("BLUEFLEET_REDIS_CA_FILE"),
            writer=environment.get("BLUEFLEET_WRITER") or "worker",
            desktop=environment.get("BLUEFLEET_DESKTOP") or "",
            checkouts=json.loads(environment.get("BLUEFLEET_CHECKOUTS") or "{}"),
            screen=screen(),
        )
