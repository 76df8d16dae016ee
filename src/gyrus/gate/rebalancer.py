"""Moves requests that wait at a busy replica to a replica that can start them: observe, decide, ask.

The rebalancer observes an API when something may have changed for its waiting requests: the API has new
replicas, a replica has notified it that a request has to wait, or the gateway has more requests in flight
than the API has slots. It observes the API again for as long as a request waits. An API without waiting
requests costs nothing. Requests move between the replicas of one pool: the gateway sends a requeued request
again in the pool that its route chose.
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
from gyrus.gate.replicas import ProofOf, Replicas, no_proof
from gyrus.queueing.balance import Balancer, RequeueRequest
from gyrus.queueing.timing import pause_after
from gyrus.state.board import Board, Endpoints, Pool

log = logging.getLogger(__name__)

TRAFFIC_EVERY = 0.25
"""Seconds between two readings of the traffic that the gateway measures."""
SILENT_EVERY = 0.25
"""Seconds between two observations while nothing is known to wait, but a process does not answer."""
RETRY = Backoff(0.1, 5)


@dataclass(slots=True)
class Rebalancer:
    """Rebalancer of all pools, until :meth:`run` is cancelled.

    Replicas still requeue the requests that they were asked for before that.
    """

    board: Board
    backlog_socket: Path
    """Path of the socket to which replicas send notifications."""
    clock: Clock
    proof_of: ProofOf = no_proof
    """Returns the proof of private calls to a replica's process."""
    _notified: Signals = field(default_factory=Signals)
    _again: dict[str, bool] = field(default_factory=dict[str, bool])
    """By the id of a pool that has a task: True if something has changed since its last observation."""

    async def run(self) -> None:
        async with (
            receiving(self.backlog_socket, self._notified.notify),
            asyncio.TaskGroup() as group,
        ):
            for name, body in {"traffic": self._watch_traffic, "signals": self._listen}.items():
                forever = persist(f"rebalancer: {name}", body, backoff=RETRY, clock=self.clock)
                group.create_task(forever, name=f"rebalancer: {name}")

    # Triggers

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
        """Return True if the pool has more requests in flight than slots."""
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
        """Return the pool's processes that have a queue of this platform and are sure to get requests."""
        if pool is None or pool.queueing is None or pool.queueing.slots is None:
            return frozenset()
        acknowledged = self.board.acknowledged.get(pool.api, {})
        return pool.replicas & acknowledged.get(pool.id, frozenset())

    def _pool(self, api: str, pool: str) -> Pool | None:
        """Return the pool as it is on the board now. Returns None if it is gone."""
        route = self.board.routes.get(api)
        return next((each for each in route.pools if each.id == pool), None) if route else None

    # One pool

    async def _even_out(self, api: str, pool: str) -> None:
        """Move requests until none waits or the pool has one process. A failure affects this pool alone."""
        replicas, balancer = Replicas(self.proof_of), Balancer[str]()
        try:
            while len((endpoints := self._asked(self._pool(api, pool))) | replicas.silent) > 1 and endpoints:
                # Before the observation: a notification during it must lead to another one.
                self._again[pool] = False
                waiting = await self._look(replicas, balancer, endpoints)
                if not waiting and not replicas.silent and not self._again[pool]:
                    return
                pause = pause_after(len(endpoints))
                await self.clock.sleep(pause if waiting else max(pause, SILENT_EVERY))
        except Exception:
            log.exception("The rebalancer cannot move waiting requests of pool %s to free replicas", pool)
        finally:
            del self._again[pool]
            await replicas.close()

    async def _look(self, replicas: Replicas, balancer: Balancer[str], endpoints: Endpoints) -> bool:
        """Return True if a request waits.

        A process that left the pool while it was silent is unready, and gets no new requests. It requeues all
        that wait there as soon as it answers.
        """
        loads = await replicas.loads(endpoints)
        left = {key: loads.pop(key) for key in loads.keys() - endpoints}
        requeues = balancer.look(loads) | {
            key: RequeueRequest(first=load.movable) for key, load in left.items() if load.movable
        }
        if requeues:
            await replicas.requeue(requeues)
        return any(load.waiting for load in loads.values())
