"""The dependencies of the API, passed to it once, when it is built."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.contract.costs import CostView
from gyrus.contract.home import Home
from gyrus.contract.models import ModelFolder
from gyrus.contract.operator import CapacityView, LogLine, LogQuery, OperatorInfo
from gyrus.state.board import Board
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.store import Store


class PackageUploads(Protocol):
    """The store of uploaded packages. Raises :mod:`gyrus.packaging.errors`."""

    def has(self, digest: str) -> bool: ...

    async def add(self, digest: str, chunks: AsyncIterable[bytes]) -> int:
        """Keep these bytes, unless they do not match the digest or are too many. Returns their number."""
        ...

    async def fetched(self, digest: str) -> Path:
        """Return the file of a package. Raises UnknownPackage and StorageFull."""
        ...


class ModelResolver(Protocol):
    """The places of models."""

    async def __call__(self, url: str) -> ModelFolder:
        """Return the objects that are there now.

        Raises ObjectError, and ValueError, whose text continues a sentence that begins with the place.
        """
        ...


class Logs(Protocol):
    """The output of replicas."""

    def logs(self, query: LogQuery) -> AsyncIterator[LogLine]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerContext:
    store: Store
    board: Board
    packages: PackageUploads
    logs: Logs
    clock: Clock
    events: EventRecorder
    token: str | None
    """The bearer token that requests must have on the TCP port. None if there is no port."""
    token_place: str = ""
    """The place of the token, for messages. Empty if it is in the home."""
    models: ModelResolver
    info: Callable[[], OperatorInfo]
    containers: bool = False
    """True if replicas are containers, so that they can run images of the user's own."""
    capacity: Callable[[], CapacityView | None] = lambda: None
    """The machine's capacity for replicas. None if it is unknown."""
    costs: Callable[[], CostView] = lambda: CostView(known=False)
    """The costs. It computes: call it in a thread."""
    stop: Callable[[], Awaitable[None]]
    """Request a stop of the whole platform. Returns at once."""
    stop_refusal: str = ""
    """The reason why requests to stop the platform are refused, and the remedy. Empty if they are not."""
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while specifications are checked: one check at a time, since each takes memory and computes."""

    @property
    def gateway(self) -> str:
        """Base URL of the endpoints."""
        return self.info().gateway

    @property
    def token_source(self) -> str:
        """The place of the token, for messages."""
        return self.token_place or f"the token that is in {Home(Path(self.info().home)).token}"
