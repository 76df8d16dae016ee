"""Stands in for an API without a replica: holds its requests, and releases them in order once it has one.

A release is a requeue: the gateway, which has kept the request, sends it to the replica.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Listener, Signals, listen
from gyrus.aio.tasks import persist
from gyrus.contract.cluster import ANY_HOST
from gyrus.gate import refusals
from gyrus.gate.connection import GatewayConnection
from gyrus.gate.disconnects import DisconnectWatcher
from gyrus.gate.held_requests import HeldRequests
from gyrus.gate.hold_limits import HeldBytes, HoldLimits, has_space
from gyrus.gate.hold_time import HoldEnd, hold_end
from gyrus.gate.refusals import Refusal
from gyrus.gate.relay import abandon, connect
from gyrus.gate.release_budget import ReleaseBudget, free_places, most_held
from gyrus.gate.request import HeldRequest
from gyrus.queueing.timing import REQUEUE_EVERY
from gyrus.state.board import Board
from gyrus.state.gateway_load import LimitUse

LOOK_AGAIN = 0.05
"""Seconds to wait before the replicas are checked for a free place again."""
BACKLOG = 4096
LAST_WORDS = 3.0
"""Seconds at the end for connections that still receive or send."""
RETRY = Backoff(0.1, 5)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A port of this machine or pod."""

    host: str
    """The address by which gateways reach it."""
    port: int


@dataclass(slots=True)
class Activator:
    """Server of held requests, for as long as :meth:`serving` runs. Owned by one event loop."""

    board: Board
    address: Path | TcpAddress
    """Path of its Unix socket, or its port."""
    clock: Clock
    limits: HoldLimits = field(default_factory=HoldLimits)
    requeue_secret: str = ""
    """The secret by which the gateway recognises the platform's own requeues."""
    disconnects: DisconnectWatcher = field(init=False)
    bodies: HeldBytes = field(init=False)
    """Bytes of requests that all connections keep."""
    _held: HeldRequests[GatewayConnection] = field(default_factory=HeldRequests[GatewayConnection])
    _deadlines: dict[GatewayConnection, asyncio.TimerHandle] = field(
        default_factory=dict[GatewayConnection, asyncio.TimerHandle]
    )
    _connections: set[GatewayConnection] = field(default_factory=set[GatewayConnection])
    _passing: Counter[str] = field(default_factory=Counter[str])
    """By endpoint: requests that are being passed on to it."""
    _releasing: set[str] = field(default_factory=set[str])
    """APIs whose requests a task releases."""
    _arrivals: Signals = field(default_factory=Signals)
    _closed: Listener = field(default_factory=Listener)
    _ending: bool = False
    _refused: Counter[str] = field(default_factory=Counter[str])
    """Refusals at each limit."""

    def __post_init__(self) -> None:
        self.bodies = HeldBytes(self.limits.body_bytes)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncGenerator[Activator]:
        """Listen while the block runs.

        Held requests are requeued at its end. The gateway retries them for a while, in which the next
        operator may have started.
        """
        loop = asyncio.get_running_loop()
        self.disconnects = DisconnectWatcher(loop)
        self._record_load()
        async with asyncio.TaskGroup() as group:
            server = await self._listen(loop)
            forever = persist("the activator", self._run, backoff=RETRY, clock=self.clock)
            work = group.create_task(forever, name="activator")
            try:
                yield self
            finally:
                work.cancel()
                server.close()
                if isinstance(self.address, Path):
                    self.address.unlink(missing_ok=True)
                await self._close()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        def connection() -> GatewayConnection:
            return GatewayConnection(self)

        if isinstance(self.address, Path):
            return await loop.create_unix_server(connection, sock=_bound(self.address), backlog=BACKLOG)
        # On all interfaces: a pod's health checks and its gateways use its address.
        return await loop.create_server(connection, ANY_HOST, self.address.port, backlog=BACKLOG)

    async def _close(self) -> None:
        self._ending = True  # first, so that every answer below closes its connection
        for api in self._held.apis():
            self._end_all(api, refusals.RELEASED)
        for connection in tuple(self._connections):
            connection.end()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                while self._connections:
                    await self._closed.wait()
        for connection in tuple(self._connections):
            connection.abort()
        self.disconnects.close()

    @property
    def endpoint(self) -> str:
        """The endpoint at which gateways reach it."""
        if isinstance(self.address, Path):
            return f"unix:{self.address}"
        return f"{self.address.host}:{self.address.port}"

    # Events of connections

    def opened(self, connection: GatewayConnection) -> None:
        self._connections.add(connection)
        if len(self._connections) > self.limits.connections:
            self._at_limit("connections")
            connection.abort()

    def closed(self, connection: GatewayConnection) -> None:
        self._connections.discard(connection)
        self._closed.notify(("",))

    def arrived(self, connection: GatewayConnection) -> None:
        request = connection.request
        assert request is not None
        refusal = self._refusal(request)
        if refusal is not None:
            # At a limit, the gateway opens a new connection for each request: none stays idle.
            connection.answer(refusal, last=self._ending or refusal.at_limit)
            return
        self._held.enter(request.api, connection, request.arrived)
        self._set_deadline(connection, request)
        self._record_held(request.api)
        self._arrivals.notify(request.api)
        # With a reachable replica, the autoscaler need not start one: the request only waits for its release.
        if not self._reached(request.api):
            self.board.demand_signals.notify(request.api)

    def left(self, connection: GatewayConnection) -> None:
        request = connection.request
        if request is not None and self._held.leave(connection):
            self._deadlines.pop(connection).cancel()
            self._record_held(request.api)

    # Answers

    def _refusal(self, request: HeldRequest) -> Refusal | None:
        """Return the reason not to hold the request. Returns None if the activator holds it."""
        api = request.api
        route = self.board.routes.get(api)
        if route is None or route.queueing is None:
            return refusals.unknown(api)
        if self._ending:
            return refusals.ending(api)
        if request.length is not None and request.length > route.max_body:
            return refusals.too_large(api, route.max_body)
        if route.queueing.unavailable_reason and not route.replicas:
            return refusals.unavailable(api, route.queueing.unavailable_reason)
        most, held = most_held(route.queueing), self._held.count(api)
        if most is not None and held >= most:
            return refusals.full(api, held)
        return self._beyond_limits(request)

    def _beyond_limits(self, request: HeldRequest) -> Refusal | None:
        api, bodies, size = request.api, self.bodies, request.reserved
        if not has_space(self._held.count(api), len(self._held), self.limits.requests):
            self._at_limit("requests")
            return refusals.crowded(api)
        if size and not has_space(bodies.of(api) - size, bodies.total - size, bodies.most, size):
            self._at_limit("body_bytes")
            return refusals.bodies_full(api)
        return None

    def _at_limit(self, name: str) -> None:
        self._refused[name] += 1
        self._record_load()
        log.warning("The activator refuses requests of APIs without a replica: limit of %s", name)

    def _set_deadline(self, connection: GatewayConnection, request: HeldRequest) -> None:
        route = self.board.routes[request.api]
        assert route.queueing is not None
        now, hold = self.clock.now().timestamp(), route.queueing.hold
        limit = hold_end(arrived=request.arrived, now=now, hold=hold, timeout=route.timeout)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(max(0.0, limit.at - now), self._give_up, connection, limit)
        self._deadlines[connection] = timer

    def _give_up(self, connection: GatewayConnection, limit: HoldEnd) -> None:
        request = connection.request
        assert request is not None
        route = self.board.routes.get(request.api)
        if route is None or route.queueing is None:
            self._end(connection, refusals.unknown(request.api))
        else:
            replicas = self.board.replicas.get(request.api, ())
            failure = self.board.start_failures.get(request.api)
            self._end(connection, refusals.overdue(route, replicas, limit, failure))

    def _end(self, connection: GatewayConnection, refusal: Refusal) -> None:
        """Answer a held request."""
        self.left(connection)
        connection.answer(refusal, last=self._ending)

    def _end_all(self, api: str, refusal: Refusal) -> None:
        for connection in self._held.of(api):
            self._end(connection, refusal)

    def refuse_all(self) -> None:
        """Refuse all held requests and every later one, because the platform is stopping."""
        self._ending = True
        for api in self._held.apis():
            self._end_all(api, refusals.ending(api))

    def _record_held(self, api: str) -> None:
        held = self._held.count(api)
        if held:
            self.board.held[api] = held
        else:
            self.board.held.pop(api, None)
        self._record_load()

    def _record_load(self) -> None:
        uses = {
            "requests": (len(self._held), self.limits.requests),
            "body_bytes": (self.bodies.total, self.bodies.most),
            "connections": (len(self._connections), self.limits.connections),
        }
        self.board.hold_load = {
            name: LimitUse(used=used, most=most, refused=self._refused[name])
            for name, (used, most) in uses.items()
        }

    # Releases

    async def _run(self) -> None:
        board = self.board
        with listen(self._arrivals, board.acknowledged_signals, board.route_signals) as listener:
            # Signals from before this listener are lost: after a restart of this task, check every API once.
            listener.notify(self._held.apis())
            async with asyncio.TaskGroup() as group:
                async for apis in listener:
                    for api in apis:
                        self._look_at(api, group)

    def _look_at(self, api: str, group: asyncio.TaskGroup) -> None:
        if not self._held.count(api):
            return
        route = self.board.routes.get(api)
        if route is None or route.queueing is None:
            self._end_all(api, refusals.unknown(api))
        elif route.queueing.unavailable_reason and not route.replicas:
            self._end_all(api, refusals.unavailable(api, route.queueing.unavailable_reason))
        elif api not in self._releasing and self._reached(api):  # one task per API keeps the order
            self._releasing.add(api)
            group.create_task(self._release(api), name=f"release {api}")

    def _reached(self, api: str) -> frozenset[str]:
        """Return the replicas that released requests are sure to reach.

        A request that is released earlier returns here or fails. The gateway sends a released request again
        in the pool that it came through, and the activator does not know that pool. Each pool must therefore
        have a replica, its own or a fallback.
        """
        route = self.board.routes.get(api)
        if route is None:
            return frozenset()
        acknowledged = self.board.acknowledged.get(api, {}).values()
        # Any other endpoint is the activator itself: a request released to it would return here.
        useful = route.replicas | self._bridge
        pools = [useful & known for known in acknowledged if known]
        return frozenset[str]().union(*pools) if all(pools) else frozenset()

    @property
    def _bridge(self) -> frozenset[str]:
        """The gateway's bridge to replicas of the other protocol. It never leads here."""
        return frozenset({self.board.bridge} if self.board.bridge else ())

    async def _release(self, api: str) -> None:
        """Release requests in order of arrival, for as long as replicas have places for them."""
        budget = ReleaseBudget()
        try:
            while (connection := self._held.first(api)) and (reached := self._reached(api)):
                if not self._has_place(api, budget, reached):
                    await self.clock.sleep(LOOK_AGAIN)
                elif await self._let_go(connection, reached):
                    budget.release()
                    # The gateway chooses by counts: it must have counted one request before the next arrives.
                    await self.clock.sleep(REQUEUE_EVERY)
                else:
                    await self.clock.sleep(LOOK_AGAIN)
        finally:
            self._releasing.discard(api)

    def _has_place(self, api: str, budget: ReleaseBudget, reached: frozenset[str]) -> bool:
        bridged = not self._bridge.isdisjoint(reached)  # to replicas whose requests are not counted
        limit = None if bridged else free_places(self.board.routes[api].pools, reached)
        traffic, reading = self.board.traffic.get(api), self.board.traffic_readings
        return budget.left(limit, traffic, reading, self._held.count(api))

    async def _let_go(self, connection: GatewayConnection, reached: frozenset[str]) -> bool:
        """Release one request. Returns False if no replica has accepted it yet."""
        request = connection.request
        assert request is not None
        if request.kept_by_gateway:
            self._end(connection, refusals.RELEASED)
            return True
        return await self._pass_on(connection, request, reached)

    async def _pass_on(
        self, connection: GatewayConnection, request: HeldRequest, reached: frozenset[str]
    ) -> bool:
        """Send the request to the replica that has the fewest of this kind. Returns False if it refuses."""
        # The activator speaks HTTP/1 only.
        pools = self.board.routes[request.api].pools
        foreign = (pool.replicas for pool in pools if pool.protocol != "http1")
        spoken = reached.difference(*foreign)
        if not spoken:
            return False
        endpoint = min(sorted(spoken), key=lambda each: self._passing[each])
        client = connection.transport
        onward = await connect(client, endpoint, self._passing) if client else None
        if onward is None:
            return False
        # While this task waited for the connection, the client may have gone, the deadline may have expired,
        # or the rest of the body may have arrived.
        if connection.request is not request or connection not in self._deadlines:
            abandon(onward)
        elif request.kept_by_gateway:
            abandon(onward)
            self._end(connection, refusals.RELEASED)
        else:
            self.left(connection)
            runtime_answers = all(pool.runtime_answers for pool in pools if endpoint in pool.replicas)
            connection.pass_on(onward, private=runtime_answers)
        return True


def _bound(path: Path) -> socket.socket:
    """Bind a socket that only its owner may connect to.

    It replaces the socket file that a killed operator left.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    path.chmod(0o600)
    return bound
