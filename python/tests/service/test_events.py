"""Who listens misses nothing, or is told that something was missed."""

import asyncio

from bluefleet.service._events import Event, Events


def heard(events: Events, after: str | None, number: int) -> list[tuple[str, int]]:
    """The next so many."""

    async def listen() -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        listening = events.listen(after, idle=5)
        async for event in listening:
            assert event is not None
            found.append((event.kind, event.data.get("number", -1)))
            if len(found) == number:
                break
        await listening.aclose()
        return found

    return asyncio.run(listen())


def told(events: Events, *numbers: int) -> None:
    for number in numbers:
        events.tell("node", {"number": number})


def test_who_was_away_hears_what_came_after_the_last_it_knows() -> None:
    events = Events()
    told(events, 1, 2, 3, 4)
    assert heard(events, events.identity(2), 2) == [("node", 3), ("node", 4)]


def test_who_was_away_for_too_long_is_told_to_begin_anew() -> None:
    events = Events(kept=3)
    told(events, 1, 2, 3, 4, 5)
    assert heard(events, events.identity(2), 3) == [("node", 3), ("node", 4), ("node", 5)]
    assert heard(events, events.identity(1), 1) == [("reset", -1)]


def test_an_identity_of_another_life_or_of_nothing_is_no_place_to_go_on_from() -> None:
    events = Events()
    told(events, 1)
    for identity in ("1", "another-1", events.identity(7), "", f"{events.last}x"):
        assert heard(events, identity, 1) == [("reset", -1)], identity


def test_who_listens_hears_at_once_and_each_hears_all() -> None:
    async def both() -> list[list[int]]:
        events = Events()

        async def listen() -> list[int]:
            return [event.data["number"] async for event in events.listen(None, idle=5) if event is not None]

        tasks = [asyncio.create_task(listen()) for _ in range(2)]
        await asyncio.sleep(0)
        told(events, 1)
        await asyncio.sleep(0)
        told(events, 2, 3)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        events.close()
        return await asyncio.gather(*tasks)

    assert asyncio.run(both()) == [[1, 2, 3], [1, 2, 3]]


def test_silence_is_told_so_that_no_proxy_takes_the_link_for_dead() -> None:
    async def first() -> Event | None:
        return await anext(Events().listen(None, idle=0.01))

    assert asyncio.run(first()) is None
