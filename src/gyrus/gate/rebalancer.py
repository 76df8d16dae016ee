"""Sees to it that no request waits at a busy replica while another could start it: look, decide, ask.

An API is looked at when something may have changed for those who wait: replicas have come, a replica rang
because somebody has to wait there, or the gateway has more requests in flight than there are slots. While
somebody waits it is looked at again and again; what an API without a queue costs is nothing. Requests move
between the replicas of one pool: the gateway sends a requeued request again in the pool that its route chose.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals, listen
from gyrus.aio.tasks import persist
from gyrus.aio.ticks import ticks
from gyrus.gate.queue_notifications import receiving
from gyrus.gate.replicas import Replicas
from gyrus.queueing.balance import Balancer
from gyrus.queueing.timing import LOOK_EVERY, REST
from gyrus.state.board import Board, Endpoints, Pool

log = logging.getLogger(__name__)

TRAFFIC_EVERY = 0.25
"""Seconds between two looks at what the gateway measures."""
RETRY = Backoff(0.1, 5)


@dataclass(slots=True)
class Rebalancer:
    """Works until :meth:`run` is cancelled. What replicas were asked to give back by then, they do."""

    board: Board
    backlog_socket_or_signal: Path
    """Of the socket on which replicas ring."""
    clock: Clock
    _notified: Signals = field(default_factory=Signals)
    _again: dict[str, bool] = field(default_factory=dict[str, bool])
    """By the id of a pool that a task looks at: whether something has happened since its last look."""

    async def run(self) -> None:
        async with (
            receiving(self.backlog_socket_or_signal, self._notified.notify),
            asyncio.TaskGroup() as group,
        ):
            for name, body in {"traffic": self._watch_traffic, "hints": self._listen}.items():
                forever = persist(f"rebalancer: {name}", body, backoff=RETRY, clock=self.clock)
                group.create_task(forever, name=f"rebalancer: {name}")

    # When

    async def _listen(self) -> None:
        with listen(self._notified, self.board.acknowledged_signals) as listener:
            async with asyncio.TaskGroup() as group:
                async for apis in listener:
                    for api in apis:
                        self._attend(api, group)

    async def _watch_traffic(self) -> None:
        async for _ in ticks(self.clock, TRAFFIC_EVERY):
            for route in self.board.routes.values():
                if any(self._crowded(pool) for pool in route.pools):
                    self._notified.notify(route.api)

    def _crowded(self, pool: Pool) -> bool:
        """There are more requests in flight than slots."""
        queueing, traffic = pool.queueing, self.board.traffic.get(pool.api)
        if queueing is None or queueing.slots is None or traffic is None or len(pool.replicas) < 2:
            return False
        in_flight = traffic.pools[pool.id].in_flight if pool.id in traffic.pools else 0
        return in_flight * queueing.processes > queueing.slots * len(pool.replicas)

    def _attend(self, api: str, group: asyncio.TaskGroup) -> None:
        route = self.board.routes.get(api)
        for pool in route.pools if route else ():
            if pool.id in self._again:
                self._again[pool.id] = True
            elif len(self._asked(pool)) > 1:
                self._again[pool.id] = True
                work = self._even_out(pool.api, pool.id)
                group.create_task(work, name=f"rebalance {pool.id}")

    def _asked(self, pool: Pool | None) -> Endpoints:
        """Processes with a queue of ours that requests reach."""
        if pool is None or pool.queueing is None or pool.queueing.slots is None:
            return frozenset()
        acknowledged = self.board.acknowledged.get(pool.api, {})
        return pool.replicas & acknowledged.get(pool.id, frozenset())

    def _pool(self, api: str, pool: str) -> Pool | None:
        """As it is on the board now."""
        route = self.board.routes.get(api)
        return next((each for each in route.pools if each.id == pool), None) if route else None

    # One pool

    async def _even_out(self, api: str, pool: str) -> None:
        """Until nobody waits, or there is nowhere else to wait. What fails here harms no other pool."""
        replicas, balancer = Replicas(), Balancer[str]()
        try:
            while len(endpoints := self._asked(self._pool(api, pool))) > 1:
                self._again[pool] = False
                began = self.clock.monotonic()
                waiting = await self._look(replicas, balancer, endpoints)
                if not waiting and not self._again[pool]:
                    return
                took = self.clock.monotonic() - began
                await self.clock.sleep(max(LOOK_EVERY, REST * took))
        except Exception:
            log.exception("requests of %s that wait are not moved to where they could start sooner", pool)
        finally:
            del self._again[pool]
            replicas.close()

    async def _look(self, replicas: Replicas, balancer: Balancer[str], endpoints: Endpoints) -> bool:
        """Whether somebody waits."""
        loads = await replicas.loads(endpoints)
        givings = balancer.look(loads)
        if givings:
            await replicas.requeue(givings)
        return any(load.waiting for load in loads.values())
