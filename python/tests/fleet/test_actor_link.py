"""One link to one actor: what a bad server, a half-open connection and a death do to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from bad_actors import (
    SilentProxy,
    dies_in_the_middle,
    ends_twice,
    floods,
    never_ends,
    serving,
    speaks_http,
    well,
)
from bluefleet.fleet import ActorLink, ActorLost, ActorTimeout, ActorUnreachable, Patience, Reply

QUICK = Patience(dial=0.5, ping_after=0.2, ping_answer=0.2, redial_first=0.05, redial_most=0.2)


async def until(condition: Callable[[], bool], deadline: float = 10.0) -> None:
    async with asyncio.timeout(deadline):
        while not condition():
            await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 40))  # type: ignore[arg-type]


def test_replies_come_in_order_and_the_last_one_is_the_result() -> None:
    async def claim() -> None:
        async with serving(well) as port, ActorLink("127.0.0.1", port) as link:
            heard: list[Reply] = []
            end = await link.ask("status now", deadline=5, heard=heard.append)
            assert (end.code, [reply.code for reply in heard]) == (":", [">", "i"])
            assert heard[1].keywords == {"heard": "status now"}

    run(claim)


def test_commands_side_by_side_on_one_link_are_never_mixed_up() -> None:
    async def claim() -> None:
        async with serving(well) as port, ActorLink("127.0.0.1", port) as link:

            async def ask(words: str) -> list[object]:
                heard: list[Reply] = []
                await link.ask(words, deadline=5, heard=heard.append)
                return [reply.keywords["heard"] for reply in heard if reply.keywords]

            words = [f"say {number}" for number in range(100)]
            assert await asyncio.gather(*map(ask, words)) == [[word] for word in words]

    run(claim)


def test_a_command_ends_once_whatever_comes_after_and_beside() -> None:
    async def claim() -> None:
        broadcasts: list[Reply] = []
        async with serving(ends_twice) as port, ActorLink("127.0.0.1", port, broadcast=broadcasts.append) as link:
            for _ in range(2):
                heard: list[Reply] = []
                end = await link.ask("status", deadline=5, heard=heard.append)
                assert (end.code, end.error, heard) == ("f", "the first end", [])
            assert [reply.code for reply in broadcasts[:2]] == ["i", "f"]

    run(claim)


def test_nobody_there_is_said_at_once() -> None:
    async def claim() -> None:
        async with serving(well) as port:
            pass
        begun = time.monotonic()
        async with ActorLink("127.0.0.1", port) as link:
            with pytest.raises(ActorUnreachable, match=rf"'status' to the actor at 127.0.0.1:{port}: .*refused"):
                await link.ask("status", deadline=30)
        assert time.monotonic() - begun < 2

    run(claim)


def test_a_death_in_the_middle_ends_the_command() -> None:
    async def claim() -> None:
        async with serving(dies_in_the_middle) as port, ActorLink("127.0.0.1", port) as link:
            heard: list[Reply] = []
            with pytest.raises(ActorLost, match="closed the connection") as raised:
                await link.ask("expose 5", deadline=30, heard=heard.append)
            assert [reply.code for reply in heard] == [">", "i"]
            assert "may have been carried out" in raised.value.remedy

    run(claim)


@pytest.mark.slow
def test_a_command_that_goes_on_for_ever_ends_at_its_deadline() -> None:
    async def claim() -> None:
        async with serving(never_ends) as port, ActorLink("127.0.0.1", port, patience=QUICK) as link:
            begun = time.monotonic()
            with pytest.raises(ActorTimeout, match=r"did not end within 1\.5 s"):
                await link.ask("expose 5", deadline=1.5)
            assert 1.4 < time.monotonic() - begun < 3
            assert link.connected, "an actor that answers pings is alive"

    run(claim)


@pytest.mark.parametrize(("serve", "reason"), [(speaks_http, "no actor's reply: b'HTTP/1.1"), (floods, "broke")])
def test_what_is_no_actor_is_said_in_words(serve: object, reason: str) -> None:
    async def claim() -> None:
        async with serving(serve) as port, ActorLink("127.0.0.1", port) as link:  # type: ignore[arg-type]
            with pytest.raises(ActorLost, match=reason):
                await link.ask("status", deadline=20)

    run(claim)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_half_open_link_is_noticed_within_10_s_and_dialled_again() -> None:
    async def claim() -> None:
        async with serving(well) as actor:
            proxy = SilentProxy(actor)
            async with serving(proxy.serve) as port, ActorLink("127.0.0.1", port) as link:
                await link.ask("status", deadline=5)
                proxy.go_silent()
                begun = time.monotonic()
                with pytest.raises(ActorLost, match=r"nothing came for 8 s, not even for a ping"):
                    await link.ask("expose 60", deadline=60)
                assert time.monotonic() - begun < 10
                await until(lambda: link.connected)
                assert time.monotonic() - begun < 10
                assert proxy.dialled == 2
                assert (await link.ask("status", deadline=5)).code == ":"

    run(claim)


def test_an_idle_half_open_link_is_noticed_too() -> None:
    async def claim() -> None:
        async with serving(well) as actor:
            proxy = SilentProxy(actor)
            async with serving(proxy.serve) as port, ActorLink("127.0.0.1", port, patience=QUICK) as link:
                await until(lambda: link.connected)
                proxy.go_silent()
                await until(lambda: proxy.dialled == 2, 2)

    run(claim)


def test_an_actor_that_comes_back_is_linked_to_again_without_being_asked() -> None:
    async def claim() -> None:
        async with serving(well) as port, ActorLink("127.0.0.1", port, patience=QUICK) as link:
            await until(lambda: link.connected)
        # Now nobody is there; the next server has another port, so a proxy stands in for the fixed one.
        proxy = SilentProxy(port)
        async with serving(proxy.serve) as fixed, ActorLink("127.0.0.1", fixed, patience=QUICK) as link:
            await until(lambda: proxy.dialled >= 2)
            async with serving(well) as back:
                proxy._port = back
                # A link to the proxy alone is up too, until that has found nobody behind it.
                await until(lambda: proxy.passed_on >= 1)
                assert (await link.ask("status", deadline=5)).code == ":"

    run(claim)


def test_who_waits_for_a_link_that_this_side_closes_is_told() -> None:
    async def claim() -> None:
        async with ActorLink("192.0.2.1", 19995) as dialling:
            waiting = asyncio.create_task(dialling.ask("status", deadline=30))
            await asyncio.sleep(0.05)
        with pytest.raises(ActorUnreachable):
            await waiting
        async with serving(never_ends) as port:
            async with ActorLink("127.0.0.1", port) as talking:
                started = asyncio.Event()
                waiting = asyncio.create_task(talking.ask("expose 5", deadline=30, heard=lambda _: started.set()))
                await started.wait()
            with pytest.raises(ActorLost, match="this side closed the link"):
                await waiting

    run(claim)


def test_an_address_that_swallows_everything_costs_the_dial_deadline_once() -> None:
    async def claim() -> None:
        # 192.0.2.0/24 is for documentation: nobody answers there; a machine without a route says so at once.
        async with ActorLink("192.0.2.1", 19995, patience=Patience(dial=1.5)) as link:
            begun = time.monotonic()
            with pytest.raises(ActorUnreachable):
                await link.ask("status", deadline=30)
            assert time.monotonic() - begun < 2.9

    run(claim)
