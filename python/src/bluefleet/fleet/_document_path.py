"""How the document path is: the forwarder and the recommender at the acquisition pod's edge, the sinks at the data pod's.

How forwarders of desktops are, the pod's one has heard.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bluefleet.documents.desktop_status import desktops_of, terminals_of
from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._report import DocumentService
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site

_CONNECT = 2.0
FORWARDER = "forwarder"


def document_path(site: Site, settings: Settings, *, deadline: float) -> list[DocumentService]:
    """Every service of the document path that the site has, asked at once; each has `deadline` seconds to answer."""
    places: dict[str, str] = {}
    if site.pods.acquisition is not None:
        edge = f"https://{site.pods.acquisition.address}"
        places |= {FORWARDER: f"{edge}/documents/status", "recommender": f"{edge}/recommender/status"}
    if site.pods.data is not None:
        edge = f"https://{site.pods.data.address}/sinks"
        places |= {"mongo-sink": f"{edge}/mongo/status", "tiled-sink": f"{edge}/tiled/status"}
    if not places:
        return []
    with ThreadPoolExecutor(max_workers=len(places)) as threads:
        desktops = site.hosts_in("desktops")
        asked = [threads.submit(_ask, name, url, settings.site_ca, deadline, desktops) for name, url in places.items()]
        found = [one.result() for one in asked]
    return [service for services in found for service in services]


def service_status(name: str, said: dict[str, Any]) -> DocumentService:
    """What a service says of itself, in the words of the report."""
    problems = list(said["problems"])
    writers: dict[str, bool] = {}
    if "writers" in said:
        writers = {name: writer["alive"] for name, writer in said["writers"].items() if "alive" in writer}
        # None is a spool that can't be read, which is among the problems.
        waiting = sum(writer["backlog"] or 0 for writer in said["writers"].values())
        if said.get("dead_letters"):
            problems.append(f"{said['dead_letters']} dead letters wait: `bluefleet documents dead` shows them")
    else:
        waiting = said["lag"]
    return DocumentService(name=name, waiting=waiting, reason="; ".join(problems), writers=writers)


def desktops_status(said: dict[str, Any], desktops: Sequence[str]) -> list[DocumentService]:
    """What the forwarder of the pod heard from those of desktops."""
    return [
        DocumentService(name=terminals_of(name), waiting=status.known_waiting, reason=status.reason)
        for name, status in desktops_of(said, desktops).items()
    ]


def _ask(name: str, url: str, ca: Path, deadline: float, desktops: Sequence[str]) -> list[DocumentService]:
    with session(ca) as asking:
        try:
            answer = asking.get(url, timeout=(min(_CONNECT, deadline), deadline))
            answer.raise_for_status()
            said = answer.json()
            return [service_status(name, said), *(desktops_status(said, desktops) if name == FORWARDER else [])]
        except OSError as error:
            return [DocumentService(name=name, waiting=None, reason=f"{url} {in_words(error, deadline)}")]
        except (KeyError, TypeError, ValueError) as error:
            return [DocumentService(name=name, waiting=None, reason=f"{url} says something unexpected: {error!r}")]
