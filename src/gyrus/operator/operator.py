"""The operator: the wiring of its parts, and the order in which they start and stop."""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI

from gyrus import __version__
from gyrus.aio.clock import SystemClock
from gyrus.aio.tasks import first_of, run_until
from gyrus.autoscaling.default import DefaultPolicy
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.protocol import Backend
from gyrus.contract.home import Home
from gyrus.contract.operator import OperatorInfo
from gyrus.control.autoscaler import Autoscaler
from gyrus.control.controller import Controller
from gyrus.control.cost_meter import CostMeter
from gyrus.control.reconciler import Reconciler
from gyrus.control.shutdown import stop_replicas, withdraw_routes
from gyrus.gate.activator import Activator
from gyrus.gate.rebalancer import Rebalancer
from gyrus.gate.replicas import count_in_flight
from gyrus.operator.database_file import check_database
from gyrus.operator.errors import StartError
from gyrus.operator.garbage import collect_garbage, short_collections
from gyrus.operator.home_folder import remove_run_folder
from gyrus.operator.machine_prices import MachinePrices
from gyrus.operator.platform import Gateway, OperatorSettings, Platform, Tasks
from gyrus.operator.readiness import ReadyNotification
from gyrus.operator.stopping import StopRequest
from gyrus.operator.supervision import Supervision
from gyrus.packaging.store import PackageStore
from gyrus.routing.errors import GatewayError
from gyrus.routing.local_gateway import LocalGateway
from gyrus.server.app import ServerContext, build_app
from gyrus.server.listening import ApiListener, CannotListen
from gyrus.server.monitoring import MonitoringContext
from gyrus.server.serving import serve
from gyrus.state.board import Board
from gyrus.state.errors import StateError
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import open_store
from gyrus.state.store import Store

log = logging.getLogger(__name__)

WITHDRAWAL_PATIENCE = 2.0
"""Seconds for the gateway to acknowledge that it sends no more requests."""

GATEWAY_PATIENCE = 5.0
"""Seconds after the gateway's first failure for it to start: it is restarted meanwhile."""
GATEWAY_LOOK = 0.5
"""Seconds between two looks at the gateway, in case that its state does not change any more."""

SAVE_PATIENCE = 3.0
"""Seconds at a clean stop to store what the autoscaler has learned, and again for the costs."""

STOP_GRACE = 20.0
"""Seconds for replicas to finish their requests when the whole platform stops."""


@dataclass(slots=True)
class Operator:
    """The wired parts of one operator."""

    settings: OperatorSettings
    platform: Platform
    board: Board
    events: EventRecorder
    backend: Backend
    gateway: Gateway
    activator: Activator
    rebalancer: Rebalancer
    controller: Controller
    autoscaler: Autoscaler
    costs: CostMeter
    deciders: Tasks
    app: FastAPI


async def operate(
    settings: OperatorSettings,
    platform_of: Callable[[OperatorSettings, Board], Platform],
    ready_notification: ReadyNotification,
    ending: StopRequest,
) -> None:
    """Run until a stop is requested; this process must lead. Raises StartError if it cannot start.

    ``platform_of``: builds the parts that depend on where the operator runs.
    """
    home = settings.home
    if settings.store is None:
        check_database(home, new=settings.new_database)
    async with AsyncExitStack() as stack:
        board = Board()
        platform = platform_of(settings, board)
        listeners = _listen(stack, platform)
        # From here on, because a restore creates a hundred thousand objects that stay.
        stack.enter_context(short_collections())
        store = await _open(stack, settings, platform)
        operator = _wire(settings, platform, board, store, ending)
        await _adopt(operator)
        # Before the gateway can request its configuration: an empty board would remove all routes.
        await operator.controller.restore()
        if platform.monitor:
            stack.enter_context(platform.monitor.leading(MonitoringContext(store, board)))
        try:
            await _run(operator, listeners, ready_notification, ending)
        finally:
            ready_notification.withdraw()


async def _open(stack: AsyncExitStack, settings: OperatorSettings, platform: Platform) -> Store:
    """Open the store, and read what earlier operators have left. Raises StartError."""
    shared = settings.store
    opened = (
        open_store(shared.url, shared.leader) if shared else open_store(sqlite_url(settings.home.database))
    )
    try:
        store = await stack.enter_async_context(opened)
        await platform.load()
    except StateError as error:
        raise StartError(str(error)) from error
    return store


async def _adopt(operator: Operator) -> None:
    try:
        await operator.gateway.adopt()
    except GatewayError as error:
        raise StartError(str(error)) from error
    await operator.backend.adopt()


def _listen(stack: AsyncExitStack, platform: Platform) -> list[ApiListener]:
    """Listen where the platform's API is served. Raises StartError."""
    try:
        listeners = platform.listen()
    except CannotListen as error:
        raise StartError(str(error)) from error
    for listener in listeners:
        stack.callback(listener.close)
    return listeners


def _wire(
    settings: OperatorSettings, platform: Platform, board: Board, store: Store, ending: StopRequest
) -> Operator:
    clock, backend, activator = SystemClock(), platform.backend, platform.activator
    events = EventRecorder(store, board, clock)
    costs = CostMeter(
        store,
        board,
        clock,
        backend,
        MachinePrices(settings.price, platform.price_table, platform.attached_price),
        {**platform.shared_costs, **settings.shared_costs},
        platform.price_remedy,
    )
    context = ServerContext(
        store=store,
        events=events,
        board=board,
        packages=platform.packages,
        models=platform.models,
        logs=backend,
        clock=clock,
        token=platform.token,
        token_place=platform.token_place,
        info=lambda: _info(settings, platform, board),
        containers=platform.containers,
        capacity=backend.capacity,
        costs=costs.view,
        stop=ending.stop_everything,
        stop_refusal=platform.stop_refusal,
    )
    in_flight = partial(count_in_flight, proof_of=platform.proof_of)
    return Operator(
        settings=settings,
        platform=platform,
        board=board,
        events=events,
        backend=backend,
        gateway=platform.gateway,
        activator=activator,
        rebalancer=Rebalancer(board, settings.home.backlog_socket, clock, platform.proof_of),
        controller=Controller(
            Reconciler(store, board, backend, clock, events, activator.endpoint, in_flight)
        ),
        autoscaler=Autoscaler(store, board, clock, events, DefaultPolicy, backend),
        costs=costs,
        deciders=platform.deciders(store, events),
        app=build_app(context),
    )


def _info(settings: OperatorSettings, platform: Platform, board: Board) -> OperatorInfo:
    return OperatorInfo(
        max_package=settings.max_package,
        version=__version__,
        gateway=platform.gateway_url(),
        gateway_state=board.gateway,
        backend=platform.backend.name,
        pid=os.getpid(),
        home=str(settings.home.root),
    )


async def _run(
    operator: Operator,
    listeners: Sequence[ApiListener],
    ready_notification: ReadyNotification,
    ending: StopRequest,
) -> None:
    """Run all parts until a stop is requested.

    The parts that carry traffic outlive the parts that decide: they stop last, or are left running. The
    activator listens before the gateway gets its address, and answers its requests before the gateway stops.
    """
    clock = SystemClock()
    supervision = Supervision(clock)
    keep = supervision.keep
    async with operator.activator.serving(), asyncio.TaskGroup() as group:
        backend = group.create_task(keep("backend", operator.backend.run), name="backend")
        gateway = group.create_task(keep("gateway", operator.gateway.run), name="gateway")
        rebalancer = group.create_task(keep("rebalancer", operator.rebalancer.run), name="rebalancer")
        events = group.create_task(keep("events", operator.events.run), name="events")
        more = [
            group.create_task(keep(name, body), name=name) for name, body in operator.platform.tasks.items()
        ]
        api = ApiServer(operator.app, listeners, operator.platform.listen)
        deciding = run_until(
            ending.asked,
            keep("controller", operator.controller.run),
            keep("autoscaler", operator.autoscaler.run),
            keep("costs", operator.costs.run),
            keep("garbage", partial(collect_garbage, clock, operator.board.no_request_is_held)),
            keep("operator API", api.run),
            *(keep(name, body) for name, body in operator.deciders.items()),
            _announce(operator, api.started, ready_notification, supervision),
        )
        # A task, so that a cancellation reaches all parts at once, even if one of them ends slowly.
        await asyncio.wait([group.create_task(deciding, name="control and server")])
        await _save("what the autoscaler has learned", operator.autoscaler.save_memories)
        await _save("the costs", operator.costs.save)
        if ending.everything:
            operator.activator.refuse_all()  # before the gateway sends it the requests of all APIs
            await withdraw_routes(operator.board, operator.activator.endpoint, WITHDRAWAL_PATIENCE)
            await stop_replicas(operator.backend, STOP_GRACE)
        for task in (*more, rebalancer, gateway, backend, events):
            task.cancel()
    if ending.everything:
        await operator.gateway.stop()
        remove_run_folder(operator.settings.home)


async def _save(what: str, save: Callable[[], Awaitable[None]]) -> None:
    """Store what a part knows, within a bounded time. The part has ended."""
    try:
        async with asyncio.timeout(SAVE_PATIENCE):
            await save()
    except TimeoutError:
        log.warning("%s could not be stored within %g s", what, SAVE_PATIENCE)


class ApiServer:
    """The server of the operator's API. After an error, it listens again."""

    def __init__(
        self, app: FastAPI, listeners: Sequence[ApiListener], again: Callable[[], Sequence[ApiListener]]
    ) -> None:
        """Serve on these listeners first, and after an error on those of ``again``."""
        self.started = asyncio.Event()
        self._app = app
        self._listeners = listeners
        self._again = again

    async def run(self) -> None:
        if any(listener.socket.fileno() < 0 for listener in self._listeners):  # closed by an earlier run
            self._listeners = self._again()
        await serve(self._app, self._listeners, started=self.started)


async def _announce(
    operator: Operator,
    started: asyncio.Event,
    ready_notification: ReadyNotification,
    supervision: Supervision,
) -> None:
    await started.wait()
    await _running(operator.board)
    supervision.started = True
    settings = operator.settings
    ready_notification.ready(
        settings.operator_port, settings.gateway_port, overcommit=settings.overcommit, hosts=settings.hosts
    )
    log.info("the operator serves at %s", settings.home.control_socket)


async def _running(board: Board) -> None:
    """Wait until the gateway serves its configuration. Raises StartError if it stays down."""
    clock, failed_at = SystemClock(), math.inf
    with board.gateway_signals.listen() as listener:
        while board.gateway != "running":
            if board.gateway == "down" and board.gateway_message:
                failed_at = min(failed_at, clock.monotonic())
            if clock.monotonic() - failed_at > GATEWAY_PATIENCE:
                raise StartError(f"The gateway does not start: {board.gateway_message}")
            await first_of(listener.wait(), clock.sleep(GATEWAY_LOOK))


async def clean(home: Home) -> None:
    """Stop the orphaned replicas and gateway of an operator that has exited. This process must lead."""
    packages = PackageStore(home.packages, home.projects, earlier=home.earlier_projects)
    backend = LocalBackend(home, packages, SystemClock())
    gateway = LocalGateway(Board(), home)
    await backend.adopt()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(backend.run(), name="backend")
        await stop_replicas(backend, STOP_GRACE)
        running.cancel()
    await gateway.stop()
    remove_run_folder(home)
