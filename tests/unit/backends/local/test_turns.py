"""Turns are given in order, and never lost."""

from __future__ import annotations

import asyncio

import pytest

from gyrus.backends.local.turns import Turn, Turns

LONG = 1000.0


def ignore(before: int) -> None:
    pass


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_turns_are_taken_in_order_and_positions_told() -> None:
    turns = Turns(1, LONG)
    first = await turns.take(ignore)
    told: dict[str, list[int]] = {"a": [], "b": [], "c": []}
    tasks = {name: asyncio.create_task(turns.take(told[name].append)) for name in told}
    await settle()
    first.give_back()
    a = await tasks["a"]
    assert not tasks["b"].done()
    a.give_back()
    (await tasks["b"]).give_back()
    (await tasks["c"]).give_back()
    assert told == {"a": [0], "b": [1, 0], "c": [2, 1, 0]}


async def test_giving_back_twice_is_giving_back_once() -> None:
    turns = Turns(1, LONG)
    turn = await turns.take(ignore)
    turn.give_back()
    turn.give_back()
    await turns.take(ignore)
    waiting = asyncio.create_task(turns.take(ignore))
    await settle()
    assert not waiting.done()
    waiting.cancel()


async def test_a_turn_ends_by_itself() -> None:
    turns = Turns(1, 0.01)
    await turns.take(ignore)
    async with asyncio.timeout(5):
        await turns.take(ignore)


@pytest.mark.parametrize("given", [False, True], ids=["while waiting", "just as it is given"])
async def test_who_leaves_passes_the_turn_on(given: bool) -> None:
    turns = Turns(1, LONG)
    first = await turns.take(ignore)
    leaving: asyncio.Task[Turn] = asyncio.create_task(turns.take(ignore))
    staying = asyncio.create_task(turns.take(ignore))
    await settle()
    if given:
        first.give_back()
    leaving.cancel()
    await asyncio.wait((leaving,))
    assert leaving.cancelled()
    first.give_back()
    async with asyncio.timeout(5):
        await staying


async def test_newcomers_do_not_pass_those_who_wait() -> None:
    turns = Turns(1, LONG)
    first = await turns.take(ignore)
    waiting = asyncio.create_task(turns.take(ignore))
    await settle()
    first.give_back()
    newcomer = asyncio.create_task(turns.take(ignore))
    await settle()
    assert waiting.done()
    assert not newcomer.done()
    newcomer.cancel()
