"""Documents of replicas, read without the gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gyrus.server.replica_documents import openapi_of
from gyrus.state.board import Board, Pool, Route, WeightedPool

DOCUMENT = {"openapi": "3.1.0"}


@asynccontextmanager
async def replica(path: Path, status: int, body: bytes, asked: list[str]) -> AsyncGenerator[str]:
    """A replica that answers every request so, and notes its first line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")[0])
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    async with server:
        yield f"unix:{path}"


def routed(*pools: Pool) -> Board:
    shares = tuple(WeightedPool(pool=pool) for pool in pools)
    return Board(routes={"iris": Route(api="iris", path="/iris", shares=shares, timeout=1.0)})


def pool(*replicas: str, generation: int = 1, **changes: object) -> Pool:
    return Pool(api="iris", generation=generation, revision=1, replicas=frozenset(replicas), **changes)  # pyright: ignore[reportArgumentType] (a field each)


async def test_the_document_comes_from_a_replica_itself(tmp_path: Path) -> None:
    asked: list[str] = []
    async with replica(tmp_path / "r", 200, json.dumps(DOCUMENT).encode(), asked) as endpoint:
        board = routed(pool(generation=2, fallback=frozenset({"unix:/activator"})), pool(endpoint))
        assert await openapi_of(board, "iris") == DOCUMENT
    assert asked == ["GET /openapi.json HTTP/1.1"]


@pytest.mark.parametrize(("status", "body"), [(404, b"{}"), (200, b"<html>"), (200, b"[1]")])
async def test_what_is_no_document_is_empty(tmp_path: Path, status: int, body: bytes) -> None:
    async with replica(tmp_path / "r", status, body, []) as endpoint:
        assert await openapi_of(routed(pool(endpoint)), "iris") == {}


async def test_without_a_replica_that_can_be_asked_there_is_none(tmp_path: Path) -> None:
    assert await openapi_of(Board(), "iris") == {}
    assert await openapi_of(routed(pool(fallback=frozenset({"unix:/activator"}))), "iris") == {}
    assert await openapi_of(routed(pool(f"unix:{tmp_path}/gone")), "iris") == {}
    assert await openapi_of(routed(pool("127.0.0.1:9", protocol="http2")), "iris") == {}


async def test_an_unknown_api_is_reported(client: httpx.AsyncClient) -> None:
    assert (await client.get("/apis/iris/openapi")).status_code == 404


async def test_an_api_without_replicas_has_an_empty_one(client: httpx.AsyncClient) -> None:
    spec = {"name": "iris", "kind": "RealtimeAPI", "process": {"command": ["serve"]}}
    await client.post("/deployments", json={"apis": [spec], "package": None})
    assert (await client.get("/apis/iris/openapi")).json() == {}
