"""How the site's Redis is connected to: by this project, and by queueserver."""

# pyright: reportUnknownMemberType=false
# (Redis' client says its arguments in words only)
from pathlib import Path
from typing import Any

import redis.asyncio
from redis import Redis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry


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


def patient_from_url(url: str, *, password: str | None = None, **more: Any) -> redis.asyncio.Redis:
    """What ``redis.asyncio.from_url`` makes, which also asks again after a lost connection.

    Redis' client does so by itself unless it is made from an address; then it says once that the connection is lost,
    which queueserver hands on: the first request after Redis was restarted failed.
    """
    retry = AsyncRetry(ExponentialBackoff(cap=0.5, base=0.1), 3)
    return redis.asyncio.Redis.from_url(url, password=password, retry=retry, **more)
