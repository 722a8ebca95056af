"""The one place that connects to the site's Redis."""

from pathlib import Path

from redis import Redis
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
