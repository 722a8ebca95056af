"""A set of sequence numbers that costs nothing while they come in order."""

from collections.abc import Iterable


class SeqNums:
    """Everything up to a number, and single ones beyond it."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._upto = 0
        self._beyond: set[int] = set()
        self.add(numbers)

    def add(self, numbers: Iterable[int]) -> None:
        """Take them in."""
        self._beyond.update(number for number in numbers if number > self._upto)
        while self._upto + 1 in self._beyond:
            self._upto += 1
            self._beyond.discard(self._upto)

    def __contains__(self, number: int) -> bool:
        return 0 < number <= self._upto or number in self._beyond

    def __len__(self) -> int:
        return self._upto + len(self._beyond)
