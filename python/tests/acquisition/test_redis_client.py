"""A Redis that was restarted since it was last asked is asked again."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from bluefleet.acquisition import redis_client
from bluefleet.acquisition.redis_client import patient_from_url


class Redis:
    """Speaks as much of Redis' protocol as is asked; the first `lost` connections end with a question, unanswered.

    It dies when it has pushed something.
    """

    def __init__(self, lost: int) -> None:
        self.lost = lost
        self.connections = 0
        self.pushed = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        lost = self.connections <= self.lost
        while (head := await reader.readline()).startswith(b"*"):
            words: list[bytes] = []
            for _ in range(int(head[1:])):
                await reader.readline()
                words.append((await reader.readline()).strip())
            if words[0] == b"PING":
                if lost:
                    break
                writer.write(b"+PONG\r\n")
            elif words[0] == b"RPUSH":
                self.pushed += 1
                break
            else:
                writer.write(b"+OK\r\n")
        writer.close()


async def tell(server: Redis, *command: str) -> object:
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with patient_from_url(f"redis://127.0.0.1:{port}?protocol=2") as client:
            return await client.execute_command(*command)


def test_the_queues_client_asks_again_after_a_lost_connection() -> None:
    server = Redis(lost=2)
    assert asyncio.run(tell(server, "SET", "a", "b"))
    assert server.connections == 3


def test_what_redis_did_and_did_not_answer_is_not_done_again() -> None:
    server = Redis(lost=0)
    with pytest.raises(RedisConnectionError):
        asyncio.run(tell(server, "RPUSH", "queue", "a plan"))
    assert server.pushed == 1


def test_a_redis_that_stays_away_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "PAUSES", (0.01, 0.01))
    with pytest.raises(RedisConnectionError):
        asyncio.run(tell(Redis(lost=1000), "SET", "a", "b"))
