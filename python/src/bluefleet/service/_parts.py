"""What the API stands on."""

from collections.abc import Sequence
from dataclasses import dataclass

from bluefleet.fleet import Selection, SelectionInvalid, Settings, select
from bluefleet.model import Site
from bluefleet.service._events import Events
from bluefleet.service._keeper import Keeper
from bluefleet.service._meters import Meters
from bluefleet.service._refusals import Refused


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a service that runs."""

    keeper: Keeper
    events: Events
    meters: Meters
    settings: Settings


class Described:
    """The parts, where there are any: an application without can only tell what could be asked."""

    def __init__(self, parts: Parts | None) -> None:
        self._parts = parts

    @property
    def parts(self) -> Parts:
        """What answers come from."""
        if self._parts is None:
            raise RuntimeError("this application was made to be described only")
        return self._parts


def chosen_of(site: Site, targets: Sequence[str], categories: Sequence[str]) -> Selection:
    """What was chosen. Raises Refused when a name is nothing of the site."""
    try:
        return select(site, targets, categories)
    except SelectionInvalid as error:
        raise Refused(422, str(error), f"site {site.site}", error.remedy) from error
