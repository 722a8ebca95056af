"""Runs for people who read them: `db[-1]` is the last one, wherever one is, with Tiled's own client.

from bluefleet.documents.reading import open_runs

db = open_runs()          # or open_runs(url, api_key=…, ca_file=…)
db[-1]                    # the last run, as Tiled keeps it
db[42], db["0f3a5c1e"]    # the latest of that scan id, the one whose uid begins so
db.mongo[-1]              # the same from Mongo, in databroker's layout
"""

# Tiled is untyped, and installed in images only.
# pyright: basic, reportMissingImports=false

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httpx
from tiled.client import from_uri
from tiled.queries import Key

from bluefleet.documents.errors import RunNotFound, SettingsWrong, Unavailable
from bluefleet.documents.run_reference import RunReference
from bluefleet.documents.settings import read_secret

# Seconds; Tiled's own client would try for most of a minute.
ANSWER = 5.0
URL, KEY_FILE, CA_FILE = "BLUEFLEET_TILED_URL", "BLUEFLEET_TILED_KEY_FILE", "BLUEFLEET_CA_FILE"

_WHAT_NOW = "`bluefleet status` says how the data pod is"


class Runs:
    """The runs of one tree. `client` is Tiled's, for everything else that one may want."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __getitem__(self, reference: int | str) -> Any:
        """A run by place from the end, scan id, uid or its beginning. Raises RunNotFound."""
        wanted = RunReference.parse(str(reference))
        if wanted.position is not None:
            found = self._at(wanted.position)
        elif wanted.scan_id is not None:
            found = self._last(self.client.search(Key("start.scan_id") == wanted.scan_id))
        else:
            found = self._beginning_with(wanted.uid)
        if found is None:
            raise RunNotFound(f"no run {reference}; there are {len(self.client)}")
        return found

    def __len__(self) -> int:
        return len(self.client)

    def __repr__(self) -> str:
        return f"<{len(self)} runs at {self.client.uri}>"

    def _last(self, found: Any) -> Any:
        return found.values().last() if len(found) else None

    def _at(self, position: int) -> Any:
        """Counted from the end. What is no run, such as a sink's probe of the server, does not count."""
        values = self.client.values()
        runs = (value for place in range(1, len(values) + 1) if "start" in (value := values[-place]).metadata)
        return next((run for count, run in enumerate(runs, 1) if count == -position), None)

    def _beginning_with(self, uid: str) -> Any:
        if uid in self.client:
            return self.client[uid]
        keys = [key for key in self.client if key.startswith(uid)]
        if len(keys) > 1:
            raise RunNotFound(f"{len(keys)} runs begin with {uid}: give more of the uid")
        return self.client[keys[0]] if keys else None


class SiteRuns(Runs):
    """The runs as Tiled keeps them; `mongo` are the same as Mongo does."""

    def __init__(self, root: Any) -> None:
        super().__init__(root["runs"])
        self.mongo = Runs(root["mongo"])


def open_runs(
    url: str | None = None,
    *,
    api_key: str | None = None,
    ca_file: Path | str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> SiteRuns:
    """Connect to the site's Tiled; what is not given is taken from BLUEFLEET_TILED_URL, …_TILED_KEY_FILE, …_CA_FILE.

    Raises SettingsWrong naming the variable that is missing, Unavailable when nothing answers or the key is refused.
    """
    url = url or environment.get(URL)
    if not url:
        raise SettingsWrong(f"{URL} is not set: `bluefleet site` says what it is")
    if api_key is None and environment.get(KEY_FILE):
        api_key = read_secret(Path(environment[KEY_FILE]))
    ca = ca_file or environment.get(CA_FILE)
    trust = {"verify": str(ca)} if ca else {}
    _must_answer(url, api_key, trust)
    return SiteRuns(cast("Any", from_uri)(url, api_key=api_key, **trust))


def _must_answer(url: str, api_key: str | None, trust: Mapping[str, Any]) -> None:
    headers = {"Authorization": f"Apikey {api_key}"} if api_key else {}
    try:
        answer = httpx.get(f"{url.rstrip('/')}/api/v1/metadata/", headers=headers, timeout=ANSWER, **trust)
    except (httpx.HTTPError, OSError) as error:
        raise Unavailable(f"Tiled at {url}: {error or type(error).__name__}; {_WHAT_NOW}") from error
    if not answer.is_success:
        raise Unavailable(f"Tiled at {url} answers {answer.status_code}: {answer.text[:200]}; {_WHAT_NOW}")
