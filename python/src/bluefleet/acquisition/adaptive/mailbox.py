"""What plans and recommenders leave for each other in Redis: recommendations, and what recommenders were told.

A recommendation has a key of its own, named by campaign and number of the run it answers: campaigns can't mix, and one
that is given twice, by a recommender that was restarted, is the same one. All keys go by themselves after a week.
"""

# pyright: reportUnknownMemberType=false
# (Redis' client answers both kinds of callers)
import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis, RedisError

from bluefleet.acquisition.adaptive.campaign import Point
from bluefleet.documents.errors import Unavailable

#: A plan may be paused for days, and finds its recommendation when it goes on. Seconds.
KEPT = 7 * 86400


@dataclass(frozen=True)
class Answer:
    """A recommendation: where to go on, nowhere (the campaign is at its end), or why there is none."""

    point: Point | None = None
    error: str = ""


@dataclass(frozen=True)
class Told:
    """What a recommender was told of a run."""

    x: Point
    y: Mapping[str, float]


class Mailbox:
    """Both ends of it. Every verb raises Unavailable when Redis gives no answer, or none that helps."""

    def __init__(self, client: Redis, site: str, where: str = "Redis") -> None:
        self._redis = client
        self._prefix = f"{site}:adaptive"
        self._where = where

    def answer(self, campaign: str, number: int, answer: Answer) -> None:
        """Leave the recommendation that follows a run."""
        text = json.dumps({"point": answer.point, "error": answer.error})
        with self._asked():
            self._redis.set(self._answer_key(campaign, number), text, ex=KEPT)

    def answered(self, campaign: str, number: int) -> Answer | None:
        """The recommendation that follows a run, once there is one."""
        with self._asked():
            text = cast("bytes | None", self._redis.get(self._answer_key(campaign, number)))
        if text is None:
            return None
        content: dict[str, Any] = json.loads(text)
        return Answer(content["point"], content["error"])

    def remember(self, campaign: str, number: int, told: Told) -> None:
        """Keep what is told, for a recommender that is restarted."""
        key = self._told_key(campaign)
        with self._asked():
            self._redis.hset(key, str(number), json.dumps({"x": told.x, "y": told.y}))
            self._redis.expire(key, KEPT)

    def remembered(self, campaign: str) -> dict[int, Told]:
        """All that was told, by the number of the run, in order."""
        with self._asked():
            entries = cast("dict[bytes, bytes]", self._redis.hgetall(self._told_key(campaign)))
        return {int(number): Told(**json.loads(text)) for number, text in sorted(entries.items(), key=_by_number)}

    @contextlib.contextmanager
    def _asked(self) -> Generator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise Unavailable(f"{self._where}: {error}") from error

    def _answer_key(self, campaign: str, number: int) -> str:
        return f"{self._prefix}:{campaign}:answer:{number}"

    def _told_key(self, campaign: str) -> str:
        return f"{self._prefix}:{campaign}:told"


def _by_number(entry: tuple[bytes, bytes]) -> int:
    return int(entry[0])
