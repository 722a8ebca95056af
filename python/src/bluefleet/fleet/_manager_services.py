"""Services of the manager itself, the fleet service and the actor: where it has them, whether they answer."""

import re
import socket
from typing import Any, cast

import yaml

from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._report import FleetServiceStatus
from bluefleet.fleet._settings import Settings

_CONNECT = 2.0
# What they listen at unless the site chose otherwise.
_SERVICE_PORT, _ACTOR_PORT = 8410, 19996
_PORT = re.compile(r'^Environment="?BLUEFLEET_SERVICE_PORT=(\d+)', re.MULTILINE)


def fleet_service(settings: Settings, *, deadline: float) -> FleetServiceStatus | None:
    """Whether the fleet service answers; None on a machine that has none."""
    unit = settings.units / "bluefleet-fleet.service"
    try:
        chosen = _PORT.search(unit.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        return FleetServiceStatus(reason=f"{unit} can't be read: {error.strerror}")
    url = f"http://127.0.0.1:{chosen[1] if chosen else _SERVICE_PORT}/healthz"
    with session() as asking:
        try:
            asking.get(url, timeout=(min(_CONNECT, deadline), deadline)).raise_for_status()
        except OSError as error:
            return FleetServiceStatus(reason=f"{url} {in_words(error, deadline)}")
    return FleetServiceStatus(reason="")


def actor(settings: Settings, *, deadline: float) -> tuple[str, str] | None:
    """Where the actor listens and what is wrong with it, in words; None where systemd starts none."""
    if not (settings.units / "multi-user.target.wants" / "bluefleet-actor.service").is_symlink():
        return None
    file = settings.etc / "actor.yml"
    try:
        said: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        chosen = cast("dict[str, Any]", said["actor"])
        host, port = str(chosen.get("host", "127.0.0.1")), int(chosen.get("port", _ACTOR_PORT))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, yaml.YAMLError) as error:
        return str(file), f"it can't be read: {error}"
    try:
        socket.create_connection((host, port), timeout=deadline).close()
    except OSError as error:
        return f"{host}:{port}", in_words(error, deadline)
    return f"{host}:{port}", ""
