"""For how long Kafka has been heard: only in that time can a run fall silent.

While Kafka is away documents wait in the spools. After its return forwarders bring them, which takes a while, too.
"""

#: Kafka that answered nothing for so long was away; so long after its return everything that waited was brought. Seconds.
AWAY_AFTER = 60.0
BROUGHT_AFTER = 600.0


class Listening:
    """Time that stands still while documents may be on their way. `seconds` is how much of it there was."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._answered: float | None = None
        self._back = 0.0

    def answered(self, at: float) -> None:
        """Kafka said at that `time.monotonic()` where the topic ends."""
        last, self._answered = self._answered, at
        if last is None or at - last > AWAY_AFTER:
            self._back = at
        elif at - self._back > BROUGHT_AFTER:
            self.seconds += at - last
