"""What is in every start document, and goes on from one process to the next."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, cast

from bluefleet.acquisition.checkout_versions import distributions_of
from bluefleet.acquisition.redis_client import redis_client
from bluefleet.acquisition.run_metadata import RunMetadata
from bluefleet.acquisition.settings import Settings
from bluefleet.model import Site

_ALWAYS = ("bluefleet", "bluesky", "ophyd", "ophyd-async")


def persistent_metadata(settings: Settings, site: str) -> MutableMapping[str, Any]:
    """``RE.md``: kept in Redis, so that scan_id goes on whichever process runs the next plan."""
    if settings.redis_address is None:
        return {}
    from redis_json_dict.redis_json_dict import RedisJSONDict

    class Shared(RedisJSONDict):
        """A number of it can be counted up in one step."""

        def count_up(self, key: str) -> int:
            # A JSON integer is to Redis what it is to JSON.
            return client.incr(f"{prefix}{key}")

    prefix = f"{site}:metadata:"
    client = redis_client(
        settings.redis_address,
        settings.redis_password,
        username=settings.redis_username,
        ca_file=settings.redis_ca_file,
    )
    return cast("MutableMapping[str, Any]", Shared(client, prefix=prefix))


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of what takes part in a run: Bluesky, and the site's own packages (requirements or paths)."""
    found: dict[str, str] = {}
    for name in [*_ALWAYS, *map(distribution_name, packages)]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # a path whose folder isn't named like its package: the image's own list has it
    return found


def distribution_name(requirement: str) -> str:
    """``beamline==1.2`` and ``../packages/beamline`` both name the distribution ``beamline``."""
    last = requirement.partition("@")[0].strip().rstrip("/").rpartition("/")[2]
    return re.split(r"[\[=<>!~; ]", last, maxsplit=1)[0]


def run_metadata(settings: Settings, site: Site) -> RunMetadata:
    """``RE.md`` of this process, with what it knows of itself."""
    own: dict[str, Any] = {
        "site": site.site,
        "versions": _with_checkouts(versions(site.acquisition.packages), settings.checkouts),
    }
    if settings.desktop:
        own["desktop"] = settings.desktop
    return RunMetadata(persistent_metadata(settings, site.site), own)


def _with_checkouts(installed: Mapping[str, str], checkouts: Mapping[str, str]) -> dict[str, str]:
    """What a checkout takes the place of does not take part in a run, however its distribution is called."""
    replaced = {_normal(name) for checkout in checkouts for name in distributions_of(checkout)}
    return {name: told for name, told in installed.items() if _normal(name) not in replaced} | dict(checkouts)


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
