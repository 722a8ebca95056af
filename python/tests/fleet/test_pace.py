"""Many nodes are worked on at a pace: each gets its turn, and one that takes its time is in nobody's way."""

import asyncio

import pytest

from bluefleet.fleet._pace import Pace, all_ended, at_pace


def test_what_came_of_it_is_in_order_and_few_begin_in_the_same_moment() -> None:
    begun = 0
    most = 0

    async def work(number: int) -> int:
        nonlocal begun, most
        begun += 1
        most = max(most, begun)
        await asyncio.sleep(0)
        begun -= 1
        return number

    async def all_of_them() -> list[int]:
        return await at_pace(work(number) for number in range(100))

    assert asyncio.run(all_of_them()) == list(range(100))
    assert most < 20


def test_all_have_their_first_turn_before_any_has_its_second() -> None:
    pace = Pace()
    turns: list[str] = []

    async def work() -> None:
        for turn in ("first", "second"):
            async with pace.turn():
                await asyncio.sleep(0)
                turns.append(turn)

    async def all_of_them() -> None:
        await at_pace((work() for _ in range(100)), pace)

    asyncio.run(all_of_them())
    assert turns == ["first"] * 100 + ["second"] * 100


def test_those_that_hang_keep_no_other_waiting() -> None:
    async def all_of_them() -> None:
        answered = asyncio.Event()

        async def hangs() -> None:
            await answered.wait()

        async def answers() -> None:
            answered.set()

        await at_pace([*(hangs() for _ in range(30)), answers()])

    asyncio.run(all_of_them())


def test_an_interrupt_ends_what_was_begun_and_begins_nothing_more() -> None:
    ended: list[int] = []

    async def hangs(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def interrupted() -> None:
        async with asyncio.timeout(0.05):
            await at_pace(hangs(number) for number in range(100))

    with pytest.raises(TimeoutError):
        asyncio.run(interrupted())
    assert ended
    assert len(ended) < 20


def test_what_raises_lets_the_rest_end_first() -> None:
    ended: list[str] = []

    async def raises() -> str:
        raise KeyError("first")

    async def takes_longer() -> str:
        await asyncio.sleep(0.01)
        ended.append("second")
        return "second"

    with pytest.raises(KeyError):
        asyncio.run(all_ended([raises(), takes_longer()]))
    assert ended == ["second"]
