from __future__ import annotations

import asyncio

from gyrus.aio.signals import Signals, listen


async def test_changes_before_a_look_are_one_wake_up():
    signals = Signals()
    with signals.listen() as listener:
        signals.notify("a")
        signals.notify("b", "a")
        assert await listener.wait() == {"a", "b"}
        waiting = asyncio.create_task(listener.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        signals.notify("c")
        assert await waiting == {"c"}


async def test_every_listener_hears_everything_while_it_listens():
    signals = Signals()
    with signals.listen() as first:
        with signals.listen() as second:
            signals.notify("a")
        signals.notify("b")
        assert await first.wait() == {"a", "b"}
        assert await second.wait() == {"a"}


async def test_a_cancelled_wait_loses_no_signal():
    signals = Signals()
    with signals.listen() as listener:
        waiting = asyncio.create_task(listener.wait())
        await asyncio.sleep(0)
        signals.notify("a")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        signals.notify("b")
        assert await listener.wait() == {"a", "b"}


async def test_listening_in_a_loop():
    signals, heard = Signals(), list[frozenset[str]]()
    with signals.listen() as listener:
        signals.notify("a")
        async for keys in listener:
            heard.append(keys)
            if len(heard) == 2:
                break
            signals.notify("b")
    assert heard == [{"a"}, {"b"}]


async def test_one_listener_to_several():
    first, second = Signals(), Signals()
    with listen(first, second) as listener:
        first.notify("a")
        second.notify("b")
        assert await listener.wait() == {"a", "b"}
    first.notify("c")
    waiting = asyncio.create_task(listener.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


async def test_taking_does_not_wait_and_leaves_nothing() -> None:
    signals = Signals()
    with signals.listen() as listener:
        assert listener.take() == frozenset()
        signals.notify("a", "b")
        assert listener.take() == {"a", "b"}
        waiting = asyncio.ensure_future(listener.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        signals.notify("c")
        assert await waiting == {"c"}
