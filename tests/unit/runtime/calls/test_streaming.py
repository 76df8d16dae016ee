"""Generators over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import gyrus
from gyrus.contract.replica import Limits
from support.serving import eventually, serving
from support.wire import read_replies

ONE = Limits(max_concurrency=1)


class Endless:
    """Record how far it came, and whether it was closed."""

    produced = 0
    closed = False

    def predict(self, payload: Any) -> Iterator[bytes]:
        try:
            while True:
                yield b"x" * 10_000
                Endless.produced += 1
        finally:
            Endless.closed = True


class EndlessOnLoop(Endless):
    async def predict(self, payload: Any) -> AsyncIterator[bytes]:  # pyright: ignore[reportIncompatibleMethodOverride] -- the async twin
        try:
            while True:
                yield b"x" * 10_000
                Endless.produced += 1
                await asyncio.sleep(0)
        finally:
            Endless.closed = True


@pytest.mark.parametrize("handler", [Endless, EndlessOnLoop])
async def test_a_client_that_does_not_read_holds_the_generator_back(
    tmp_path: Path, handler: type[Any]
) -> None:
    Endless.produced, Endless.closed = 0, False
    async with serving(handler, tmp_path, limits=ONE) as server:
        client = await server.connect()
        client.send()
        await client.until(b"\r\n\r\n")
        produced = -1
        while produced != Endless.produced:  # until it stands still
            produced = Endless.produced
            await asyncio.sleep(0.05)
        assert produced < 500, "5 MB wait at most, in all buffers together"
        for _ in range(200):
            await client.reader.readexactly(10_000)
        await eventually(lambda: produced < Endless.produced)
        client.leave()
        await eventually(lambda: Endless.closed)


class Words:
    def predict(self, payload: Any) -> Iterator[Any]:
        yield {"n": 1}
        yield {"n": 2}
        if payload == "fail":
            raise ValueError("too much")


class WordsOnLoop:
    async def predict(self, payload: Any) -> AsyncIterator[Any]:
        for word in Words().predict(payload):
            yield word


class WordsByCoroutine:
    async def predict(self, payload: Any) -> Iterator[Any]:
        return Words().predict(payload)


class WordsByThread:
    def predict(self, payload: Any) -> AsyncIterator[Any]:
        return WordsOnLoop().predict(payload)


@pytest.mark.parametrize("handler", [Words, WordsOnLoop, WordsByCoroutine, WordsByThread])
async def test_every_kind_of_generator(tmp_path: Path, handler: type[Any]) -> None:
    async with serving(handler, tmp_path, limits=ONE) as server:
        reply = await server.ask()
        assert reply.headers["content-type"] == "text/event-stream"
        assert reply.body == b'data: {"n":1}\n\ndata: {"n":2}\n\n'
        lines = await server.ask(None, "accept: application/x-ndjson")
        assert lines.body == b'{"n":1}\n{"n":2}\n'
        failed = await server.ask("fail")
        assert failed.status == 200
        assert failed.body.startswith(b'data: {"n":1}\n\ndata: {"n":2}\n\nevent: error\ndata: {"type":')
        client = await server.connect()
        client.send(b'"fail"', "accept: application/x-ndjson")
        received = await client.rest()
        assert received.endswith(b'{"n":2}\n\r\n'), "cut off: the last chunk that would say so is missing"


async def test_a_failure_before_the_first_item_is_reported_as_any_other(tmp_path: Path) -> None:
    class Handler:
        def predict(self) -> Iterator[Any]:
            raise ValueError
            yield

    async with serving(Handler, tmp_path) as server:
        assert (await server.ask()).status == 500


async def test_items_are_sent_as_they_come(tmp_path: Path) -> None:
    more = asyncio.Event()

    class Handler:
        async def predict(self) -> AsyncIterator[str]:
            yield "first"
            await more.wait()
            yield "second"

    async with serving(Handler, tmp_path) as server:
        client = await server.connect()
        client.send(b"", "Connection: close")
        start = await client.until(b"first\r\n")
        more.set()
        (reply,) = read_replies(start + await client.rest())
        assert reply.body == b"firstsecond"
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"


async def test_a_stream_may_go_on_beyond_the_timeout(tmp_path: Path) -> None:
    class Handler:
        async def predict(self) -> AsyncIterator[str]:
            yield "first"
            await asyncio.sleep(0.2)
            yield "second"

    async with serving(Handler, tmp_path, limits=Limits(timeout=0.05)) as server:
        assert (await server.ask()).body == b"firstsecond"
        assert not server.admission.overdue


async def test_an_empty_stream(tmp_path: Path) -> None:
    class Handler:
        def predict(self) -> Iterator[Any]:
            yield from ()

    async with serving(Handler, tmp_path) as server:
        reply = await server.ask()
        assert (reply.status, reply.body) == (200, b"")


async def test_a_response_may_hold_a_generator(tmp_path: Path) -> None:
    class Handler:
        def predict(self) -> gyrus.Response:
            return gyrus.Response(iter(["a,b\n", "1,2\n"]), status=201, media_type="text/csv")

    async with serving(Handler, tmp_path) as server:
        reply = await server.ask()
        assert (reply.status, reply.headers["content-type"], reply.body) == (201, "text/csv", b"a,b\n1,2\n")


async def test_async_work_within_a_stream_is_cancelled_with_its_client(tmp_path: Path) -> None:
    ended: list[str] = []

    class Handler:
        async def predict(self) -> AsyncIterator[str]:
            yield "first"
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("ended")

    class ByThread:
        def predict(self) -> AsyncIterator[str]:
            return Handler().predict()

    for handler in (Handler, ByThread):
        ended.clear()
        async with serving(handler, tmp_path, limits=ONE) as server:
            client = await server.connect()
            client.send()
            await client.until(b"first\r\n")
            client.leave()
            await eventually(lambda: ended)
    assert json.dumps(ended) == '["ended"]'


class Surrogates:
    def predict(self, payload: Any) -> Iterator[Any]:
        yield from ("ok", "\ud800")


class SurrogatesOnLoop:
    async def predict(self, payload: Any) -> AsyncIterator[Any]:
        for item in ("ok", "\ud800"):
            yield item


class FirstOfAll:
    def predict(self, payload: Any) -> Iterator[Any]:
        yield {"a": ["\ud800"]}


class FirstOfAllOnLoop:
    async def predict(self, payload: Any) -> AsyncIterator[Any]:
        yield object()


@pytest.mark.parametrize("handler", [FirstOfAll, FirstOfAllOnLoop])
async def test_a_first_item_that_cannot_be_sent_is_an_ordinary_failure(
    tmp_path: Path, handler: type[Any]
) -> None:
    async with serving(handler, tmp_path, limits=ONE) as server:
        reply = await server.ask({})
        assert reply.status == 500
        assert json.loads(reply.body)["type"] == "urn:gyrus:problem:bad-answer"


@pytest.mark.parametrize("handler", [Surrogates, SurrogatesOnLoop])
async def test_text_that_is_not_unicode_breaks_off_a_stream(tmp_path: Path, handler: type[Any]) -> None:
    async with serving(handler, tmp_path, limits=ONE) as server:
        reply = await server.ask(1, "Accept: text/event-stream")
        assert reply.body.startswith(b"data: ok\n\nevent: error\ndata: {")
        assert "half of a surrogate pair" in reply.body.decode()
