"""The operator's port for Prometheus and probes: ``/metrics``, ``/healthz`` and ``/readyz``.

It is an application of its own on a port of its own, since it demands no token: its answers have nothing but
names and counts of APIs, and no request changes anything. It answers from the process's start to its end,
whether the operator leads or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse

from gyrus import __version__
from gyrus.contract.replica import HEALTH_PATH, METRICS_PATH, READY_PATH
from gyrus.server.metrics import MEDIA_TYPE, exposition, operator_exposition
from gyrus.state.board import Board
from gyrus.state.errors import StateError
from gyrus.state.store import Store

PATIENCE = 2.0
"""Seconds in which the store must answer for the operator to count as ready."""

router = APIRouter()


@dataclass(frozen=True, slots=True)
class MonitoringContext:
    """The parts of an operator that leads."""

    store: Store
    board: Board


class StoreCheck(Protocol):
    """Checks the store of an operator that does not lead."""

    async def check(self) -> None:
        """Raise StateError if the store does not answer."""
        ...


class OperatorMonitor:
    """The state of one operator, for probes and metrics."""

    def __init__(self, standby: StoreCheck | None) -> None:
        """``standby``: the store of an operator on standby. None if it cannot be one: it is alone."""
        self._standby = standby
        self._led: MonitoringContext | None = None
        self._begun = False

    def begin(self) -> None:
        """Note that this operator leads from now on, and starts its parts."""
        self._begun = True

    @contextmanager
    def leading(self, context: MonitoringContext) -> Generator[None]:
        """Answer from these parts while the block runs."""
        self._led = context
        try:
            yield
        finally:
            self._led = None

    async def hindrance(self) -> str:
        """Return why the operator is not ready. Returns "" if it is."""
        if self._led is None and self._standby is None:
            return "it starts"
        if unreachable := await self.store_fault():
            return unreachable
        return "it starts" if self._begun and self._led is None else ""

    async def store_fault(self) -> str:
        """Return why the store does not answer. Returns "" if it does, or if there is none yet."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self._led:
                    await self._led.store.apis()
                elif self._standby:
                    await self._standby.check()
        except TimeoutError:
            return f"the store does not answer within {PATIENCE:g} s"
        except StateError as error:
            return f"the store cannot be read: {error}"
        return ""

    async def metrics(self) -> bytes:
        """Return the metrics in Prometheus's text format: of all APIs, if this operator leads."""
        fault = await self.store_fault()
        own = operator_exposition(leads=self._led is not None, store_answers=not fault)
        return own if fault or self._led is None else own + await exposition(self._led.store, self._led.board)


def build_monitoring_app(monitor: OperatorMonitor) -> FastAPI:
    """Build the ASGI application. Serve it with :func:`gyrus.server.serving.serve`."""
    app = FastAPI(
        title="gyrus operator's metrics", version=__version__, openapi_url=None, docs_url=None, redoc_url=None
    )
    app.state.monitor = monitor
    app.state.closing = asyncio.Event()
    app.include_router(router)
    return app


@router.get(METRICS_PATH)
async def get_metrics(request: Request) -> Response:
    """Return the metrics of the operator and of all APIs, in Prometheus's text format."""
    return Response(await _monitor(request).metrics(), media_type=MEDIA_TYPE)


@router.get(HEALTH_PATH)
async def get_health() -> Response:
    """Answer as long as the event loop runs."""
    return PlainTextResponse("ok\n")


@router.get(READY_PATH)
async def get_readiness(request: Request) -> Response:
    """Answer 200 if the operator leads or can lead, else 503 with the reason."""
    hindrance = await _monitor(request).hindrance()
    return PlainTextResponse(f"{hindrance or 'ok'}\n", 503 if hindrance else 200)


def _monitor(request: Request) -> OperatorMonitor:
    return cast(OperatorMonitor, request.app.state.monitor)
