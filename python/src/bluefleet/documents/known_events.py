"""Which events of a stream are known; costs little while they come in order."""

from array import array
from collections.abc import Iterable

#: Sequence number and time: an event that is taken again after a pause has the number of the one before, and its own time.
Event = tuple[int, float]


class KnownEvents:
    """The times of events 1, 2, … in order, and those that came otherwise."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._times = array("d")
        self._others: set[Event] = set()
        self.add(events)

    def add(self, events: Iterable[Event]) -> None:
        """Take them in."""
        for number, time in events:
            if (number, time) in self:
                continue
            if number == len(self._times) + 1:
                self._times.append(time)
            else:
                self._others.add((number, time))

    def __contains__(self, event: Event) -> bool:
        number, time = event
        in_order = 0 < number <= len(self._times) and self._times[number - 1] == time
        return in_order or event in self._others

    def __len__(self) -> int:
        return len(self._times) + len(self._others)
