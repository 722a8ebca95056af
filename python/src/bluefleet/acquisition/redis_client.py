"""How the site's Redis is connected to: by this project, and by queueserver."""

# pyright: reportUnknownMemberType=false
# (Redis' client says its arguments in words only)
import asyncio
from pathlib import Path
from typing import Any

import redis.asyncio
from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

#: Seconds that a question of queueserver's may take.
DEADLINE = 10.0
#: Between tries to connect again: a restart of Redis takes a second or two.
PAUSES = (0.1, 0.2, 0.5, 1.0, 1.0)


def redis_client(
    address: str,
    password: str | None,
    *,
    username: str | None = None,
    ca_file: Path | None = None,
    deadline: float = 10.0,
    patient: bool = True,
) -> Redis:
    """A client of the Redis at host:port, which connects when it is first asked.

    :param ca_file: certificates to verify it with; without them it is asked without TLS
    :param deadline: seconds that a question may take
    :param patient: ask again after a lost connection; who asks in a loop anyway needs an answer now
    """
    host, _, port = address.partition(":")
    return Redis(
        host=host,
        port=int(port or 6379),
        username=username,
        password=password,
        ssl=ca_file is not None,
        ssl_ca_certs=str(ca_file) if ca_file else None,
        socket_timeout=deadline,
        socket_connect_timeout=deadline,
        protocol=2,
        retry=Retry(ExponentialBackoff(), 3) if patient else Retry(NoBackoff(), 0),
    )


class AlivePool(redis.asyncio.ConnectionPool):
    """Hands out a connection only when Redis answers over it; a lost one is made anew, for some seconds."""

    async def ensure_connection(self, connection: Any) -> None:
        for pause in (*PAUSES, None):
            try:
                await super().ensure_connection(connection)
                await connection.send_command("PING")
                await connection.read_response()
            except (redis.ConnectionError, redis.TimeoutError, OSError):
                await connection.disconnect(nowait=True)
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                return


def patient_from_url(url: str, *, password: str | None = None, **more: Any) -> redis.asyncio.Redis:
    """What ``redis.asyncio.from_url`` makes, which also outlives a restart of Redis between two commands.

    A client made from an address says once that its connection is lost, which queueserver hands on: the first request
    after Redis was restarted failed. Redis' own remedy is to repeat the command, but queueserver takes plans from a list
    and puts them there: what was done and not answered must not be done again.
    """
    pool = AlivePool.from_url(url, password=password, socket_timeout=DEADLINE, socket_connect_timeout=DEADLINE, **more)
    return redis.asyncio.Redis.from_pool(pool)
