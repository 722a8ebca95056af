"""The recommender service: follows the site's documents and recommends a next point after each run of a campaign.

`python -m bluefleet.acquisition.adaptive.service`

It need not have been there when a campaign began, nor stay until its end: Kafka keeps the documents, the position is
committed only up to the oldest run that has no recommendation yet, and what recommenders were told is in Redis.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from pydantic import Field

from bluefleet.acquisition.adaptive.campaigns import Campaigns
from bluefleet.acquisition.adaptive.mailbox import Mailbox
from bluefleet.acquisition.redis_client import redis_client
from bluefleet.documents.consumer import Rejected, SinkService
from bluefleet.documents.kafka import DEADLINE
from bluefleet.documents.settings import Settings, read_secret
from bluefleet.documents.until_told import log_at, run_until_told

logger = logging.getLogger(__name__)

#: Where a service that was never here begins: nobody waits for a recommendation after a run of yesterday. Seconds.
LOOK_BACK = 86400.0
ANSWER_WITHIN = 5.0


class RecommenderSettings(Settings):
    """Of the recommender service."""

    redis_address: str = Field(default="redis:6379", description="host:port of Redis")
    redis_username: str | None = Field(default=None, description="user of Redis; unset = its default one")
    redis_password_file: Path | None = Field(default=None, description="file with that user's password")
    kafka_group: str = Field(default="recommender", description="name under which Kafka keeps this service's position")


class RecommenderService(SinkService):
    """The loop of the sinks, for a consumer that stores nothing."""

    def __init__(self, settings: RecommenderSettings) -> None:
        password = read_secret(settings.redis_password_file) if settings.redis_password_file else None
        client = redis_client(
            settings.redis_address, password, username=settings.redis_username, deadline=ANSWER_WITHIN, patient=False
        )
        self._ended = threading.Event()
        self._campaigns = Campaigns(Mailbox(client, settings.site, f"Redis at {settings.redis_address}"), self._ended)
        super().__init__(self._campaigns, settings, settings.kafka_group)

    def stop(self) -> None:
        """Let go; runs without a recommendation are read again."""
        self._ended.set()
        super().stop()

    def status(self, _rest: str = "") -> dict[str, Any]:
        """Position, lag, campaigns and trouble."""
        return super().status() | {"campaigns": self._campaigns.status()}

    def _first_offset(self, consumer: Consumer) -> int:
        """Without a position of its own: a day ago."""
        _, end = consumer.get_watermark_offsets(self._partition, timeout=DEADLINE)
        since = TopicPartition(self._settings.topic, 0, int((time.time() - LOOK_BACK) * 1000))
        found = consumer.offsets_for_times([since], timeout=DEADLINE)[0].offset
        return found if found >= 0 else end

    def _bury(self, messages: list[Message], rejected: list[Rejected]) -> None:
        """Dead letters are the sinks' business."""
        del messages
        for item in rejected:
            logger.warning("document at offset %d is left out: %s", item.offset, item.reason)


def main() -> None:
    """The service."""
    settings = RecommenderSettings.from_environment()
    log_at(settings.log_level)
    run_until_told(RecommenderService(settings))


if __name__ == "__main__":
    main()
