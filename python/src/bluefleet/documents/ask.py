"""Asks the services of the document path: JSON over HTTP, at the edges over TLS and with a key.

Needs nothing but the standard library: it runs on the manager.
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from bluefleet.documents.errors import NotFound, SettingsWrong, Unavailable
from bluefleet.documents.settings import read_secret


@dataclass(frozen=True)
class Place:
    """Where a service answers; with a key, also for what it says to holders of it only."""

    name: str
    url: str
    key_file: Path | None = None


class Asker:
    """Asks places; whose certificates are to be trusted is the same for all. Raises SettingsWrong."""

    def __init__(self, ca_file: Path | None) -> None:
        try:
            self._trust = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except OSError as error:
            raise SettingsWrong(f"{ca_file}: {error}") from error

    def get(self, place: Place, path: str, *, deadline: float) -> dict[str, Any]:
        """What is at `<url>/<path>`. Raises NotFound with the service's words, Unavailable."""
        return self._ask(place, self._request(place, path), deadline)

    def post(self, place: Place, path: str, content: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """Have something done. Raises as `get` does."""
        request = self._request(place, path)
        request.data = json.dumps(content).encode()
        request.add_header("Content-Type", "application/json")
        return self._ask(place, request, deadline)

    def _request(self, place: Place, path: str) -> urllib.request.Request:
        request = urllib.request.Request(f"{place.url}/{quote(path)}")  # noqa: S310 - URLs are the site's own
        if place.key_file is not None:
            request.add_header("Authorization", f"ApiKey {read_secret(place.key_file)}")
        return request

    def _ask(self, place: Place, request: urllib.request.Request, deadline: float) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(request, timeout=deadline, context=self._trust) as answer:  # noqa: S310 - so is this
                content: Any = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            reason = _reason(error)
            if error.code == 404 and reason is not None:
                raise NotFound(reason) from error
            raise Unavailable(reason or f"{error.url} answers {error.code} {error.reason}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"{place.url}: {error}") from error
        if not isinstance(content, dict):
            raise Unavailable(f"{place.url}: what answers is not {place.name}")
        return cast("dict[str, Any]", content)


def _reason(error: urllib.error.HTTPError) -> str | None:
    """What the service says; None when it is not the service that answers."""
    try:
        return str(json.loads(error.read())["error"])
    except (ValueError, KeyError, TypeError):
        return None


def in_a_row(names: Iterable[str]) -> str:
    """As in a sentence: a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
