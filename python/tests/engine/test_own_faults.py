"""What this machine lacks is not told as a node that is down."""

import asyncio
import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from requests.exceptions import ConnectionError as NotConnected

from bluefleet.engine import Endpoint, Engine, EngineUnreachable, OwnFault
from bluefleet.engine._client import translated
from real_engine import SOCKET

ENDPOINT = Endpoint("node1", "https://127.0.0.1:2376")


@contextmanager
def no_more_files() -> Iterator[None]:
    """Every descriptor that this process may have is taken."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("url", [f"unix://{SOCKET}", "http://127.0.0.1:1", "ssh://grace@127.0.0.1:1"])
def test_a_program_without_file_descriptors_blames_no_node(url: str) -> None:
    async def ask() -> None:
        async with Engine(Endpoint("node1", url)) as engine:
            with no_more_files():
                await engine.observe({"site": "nobody"})

    with pytest.raises(OwnFault, match="no file descriptor left") as told:
        asyncio.run(ask())
    assert "ulimit -n" in told.value.remedy


def test_a_full_disk_blames_no_node() -> None:
    with pytest.raises(OwnFault, match="disk is full"), translated(ENDPOINT, "save the logs"):
        Path("/dev/full").write_text("x", encoding="utf-8")


@pytest.mark.parametrize("number", [errno.ENOMEM, errno.ENFILE, errno.ENETUNREACH, errno.EADDRNOTAVAIL])
def test_it_is_found_in_what_libraries_wrap_it_in(number: int) -> None:
    inner = OSError(number, os.strerror(number))
    with pytest.raises(OwnFault, match="this machine"), translated(ENDPOINT, "connect"):
        raise NotConnected(Exception("Connection aborted.", inner))


def test_a_host_that_is_off_is_the_node_s_own_fault() -> None:
    with pytest.raises(EngineUnreachable), translated(ENDPOINT, "connect"):
        raise OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
