"""The API over a real store, board and shelf; only the replicas' output is made up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gyrus.aio.clock import SystemClock
from gyrus.contract.operator import OperatorInfo
from gyrus.packaging.store import PackageStore
from gyrus.server.app import build_app
from gyrus.server.context import ServerContext
from gyrus.server.listening import listen_on_port
from gyrus.server.serving import serve
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import SqlStore, open_store
from support.aws.models import local_models
from support.output import Output
from support.recorder import recording
from support.tls import Authority

TOKEN = "a-secret"
LIMIT = 100_000
"""Bytes of a package."""


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def stopped() -> asyncio.Event:
    """Whether the platform was asked to stop."""
    return asyncio.Event()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with open_store(sqlite_url(tmp_path / "state.db")) as store:
        yield store


@pytest.fixture
async def events(store: SqlStore, board: Board) -> AsyncIterator[EventRecorder]:
    async with recording(store, board) as events:
        yield events


@pytest.fixture
def context(
    tmp_path: Path,
    store: SqlStore,
    board: Board,
    events: EventRecorder,
    output: Output,
    stopped: asyncio.Event,
) -> ServerContext:
    info = OperatorInfo(
        version="1.2.3",
        gateway="http://127.0.0.1:8080",
        gateway_state="running",
        backend="local",
        pid=1,
        home=str(tmp_path),
    )

    async def stop() -> None:
        stopped.set()

    return ServerContext(
        store=store,
        board=board,
        events=events,
        packages=PackageStore(tmp_path / "packages", tmp_path / "projects", limit=LIMIT),
        models=local_models,
        logs=output,
        clock=SystemClock(),
        token=TOKEN,
        info=lambda: info,
        stop=stop,
    )


@pytest.fixture
def app(context: ServerContext) -> FastAPI:
    return build_app(context)


def client_of(**options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}, timeout=10, **options)


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the application without a network."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with client_of(transport=transport, base_url="http://operator/v1") as client:
        yield client


@pytest.fixture
async def remote(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Calls the served application."""
    authority, started = Authority(), asyncio.Event()
    tls = authority.server("127.0.0.1")
    listener = listen_on_port("127.0.0.1", 0, lambda: tls)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(serve(app, [listener], started=started), name="serve")
        await started.wait()
        async with client_of(base_url=f"{listener.name}/v1", verify=authority.client()) as client:
            yield client
        serving.cancel()


Eventually = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def eventually() -> Eventually:
    """Wait for a condition that no event reports."""

    async def wait(holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 -- nothing rings
                await asyncio.sleep(0.005)

    return wait
