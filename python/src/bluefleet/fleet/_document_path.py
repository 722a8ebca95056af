"""How the document path is: the forwarder and the recommender at the acquisition pod's edge, the sinks at the data pod's."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bluefleet.fleet._edge import in_words, session
from bluefleet.fleet._report import DocumentService
from bluefleet.fleet._settings import Settings
from bluefleet.model import Site

_CONNECT = 2.0


def document_path(site: Site, settings: Settings, *, deadline: float) -> list[DocumentService]:
    """Every service of the document path that the site has, asked at once; each has `deadline` seconds to answer."""
    places: dict[str, str] = {}
    if site.pods.acquisition is not None:
        edge = f"https://{site.pods.acquisition.address}"
        places |= {"forwarder": f"{edge}/documents/status", "recommender": f"{edge}/recommender/status"}
    if site.pods.data is not None:
        edge = f"https://{site.pods.data.address}/sinks"
        places |= {"mongo-sink": f"{edge}/mongo/status", "tiled-sink": f"{edge}/tiled/status"}
    if not places:
        return []
    with ThreadPoolExecutor(max_workers=len(places)) as threads:
        asked = [threads.submit(_ask, name, url, settings.site_ca, deadline) for name, url in places.items()]
        return [one.result() for one in asked]


def service_status(name: str, said: dict[str, Any]) -> DocumentService:
    """What a service says of itself, in the words of the report."""
    problems = list(said["problems"])
    if "writers" in said:
        # None is a spool that can't be read, which is among the problems.
        waiting = sum(writer["backlog"] or 0 for writer in said["writers"].values())
        if said.get("dead_letters"):
            problems.append(f"{said['dead_letters']} dead letters wait: `bluefleet documents dead` shows them")
    else:
        waiting = said["lag"]
    return DocumentService(name=name, waiting=waiting, reason="; ".join(problems))


def _ask(name: str, url: str, ca: Path, deadline: float) -> DocumentService:
    with session(ca) as asking:
        try:
            answer = asking.get(url, timeout=(min(_CONNECT, deadline), deadline))
            answer.raise_for_status()
            return service_status(name, answer.json())
        except OSError as error:
            return DocumentService(name=name, waiting=None, reason=f"{url} {in_words(error, deadline)}")
        except (KeyError, TypeError) as error:
            return DocumentService(name=name, waiting=None, reason=f"{url} says something unexpected: {error!r}")
