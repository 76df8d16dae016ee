"""One API's loop body: observe → plan → act → record."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

from gyrus.aio.clock import Clock
from gyrus.backends.protocol import CapacitySource, Cleanup, ReplicaOrder, ReplicaRunner, WarmStarts
from gyrus.control.events import fork_server_event, preemption_event, replica_events, verdict_event
from gyrus.control.plan import Plan
from gyrus.control.planners import planner_for
from gyrus.control.situation import Situation
from gyrus.control.startup_times import StartupTimer
from gyrus.control.unreadable import stand_in
from gyrus.control.verdict import Verdict
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import StoredSpec, UnreadableSpec
from gyrus.spec.workload import compute_of, workload_of
from gyrus.state.board import Board, Replica, Route
from gyrus.state.errors import NotFound, StaleVersion, StateError
from gyrus.state.records import Api, Event, Generation, Revision
from gyrus.state.store import Store

log = logging.getLogger(__name__)

DRAIN_ALLOWANCE = 30.0
"""Seconds that a draining replica gets beyond its API's request timeout."""

_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class ReconciledBackend(ReplicaRunner, CapacitySource, WarmStarts, Cleanup, Protocol):
    """The parts of a backend that the reconciler needs."""


@dataclass(slots=True)
class Reconciler:
    """Brings one API at a time nearer to what is wanted.

    The caller sees to it that no two calls work on the same API at once.
    """

    store: Store
    board: Board
    backend: ReconciledBackend
    clock: Clock
    activator: str | None = None
    """The endpoint that stands in for replicas while there is none; None: nothing does."""
    startup_timer: StartupTimer = field(init=False)
    _retiring: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    _revisions: dict[tuple[str, int], Revision] = field(default_factory=dict[tuple[str, int], Revision])

    def __post_init__(self) -> None:
        self.startup_timer = StartupTimer(self.store, self.board, self.clock)

    async def restore(self) -> None:
        """Fill the board from the store and from what already runs, and change nothing."""
        for api in await self.store.apis():
            situation = await self._observe(api)
            self.board.replicas[api.name] = situation.replicas
            wanted = planner_for(situation).route(situation, situation.retiring)
            if wanted and not api.deleting:
                self.board.routes[api.name] = wanted

    async def reconcile(self, name: str) -> float | None:
        """Take the next step for this API; the seconds after which to look again, if any."""
        api = await self.store.api(name)
        if api is None:
            await self._clean_up(name)
            return None
        situation = await self._observe(api)
        step = planner_for(situation).plan(situation, self.clock.now())
        self._publish(api, situation, step.route)
        await self._publish_events(name)
        await self.startup_timer.look(situation)
        await self._act(situation, step)
        await self._record(situation, step)
        return step.wake_after

    # Observe

    async def _observe(self, api: Api) -> Situation[Any]:
        replicas = self._replicas(api.name)
        ids = {replica.id for replica in replicas}
        revision = await self._revision(api.name, api.target)
        target = revision.spec
        live = (await self._revision(api.name, api.live)).spec if api.live else None
        return Situation(
            api=api,
            target_spec=target,
            live_spec=_comparable(api.name, live, target),
            replicas=replicas,
            retiring=self._retiring.get(api.name, frozenset()) & ids,
            acknowledged=self.board.acknowledged.get(api.name),
            reachable=self.board.reachable.get(api.name),
            fault=revision.fault,
            held=self.board.held.get(api.name, 0),
            activator=self.activator,
            room=self._capacity(target),
        )

    def _capacity(self, target: StoredSpec) -> int | None:
        if not isinstance(target, RealtimeSpec):
            return None
        return self.backend.capacity_for(target.name, compute_of(target.compute))

    def _replicas(self, api: str) -> tuple[Replica, ...]:
        observed = self.backend.observe(api).values()
        replicas = (Replica(status=o.status, generation=o.generation) for o in observed)
        return tuple(sorted(replicas, key=lambda r: (r.generation, r.status.started_at or 0.0, r.id)))

    async def _revision(self, name: str, generation: Generation) -> Revision:
        """Revisions never change, so that each is read once."""
        key = (name, generation.revision)
        if key not in self._revisions:
            revision = await self.store.revision(*key)
            if revision is None:
                raise NotFound(f"revision {generation.revision} of {name} is not in the store")
            if revision.fault:
                log.error("%s fails: %s", name, revision.fault)
            self._revisions[key] = revision
        return self._revisions[key]

    # Act

    def _publish(self, api: Api, situation: Situation[Any], wanted: Route | None) -> None:
        """Put the route and the replicas on the board, and ring where something changed."""
        if self.board.routes.get(api.name) != wanted:
            if wanted is None:
                del self.board.routes[api.name]
            else:
                self.board.routes[api.name] = wanted
            self.board.route_signals.notify(api.name)

    async def _act(self, situation: Situation[Any], step: Plan) -> None:
        api = situation.api
        self._retiring[api.name] = step.retiring
        grace = situation.target_spec.request_timeout.total_seconds() + DRAIN_ALLOWANCE
        for replica in step.stop:
            await self.backend.stop(replica, grace=grace)
        if api.live:
            await self._start(api, api.live, step.revive)
        await self._start(api, api.target, step.start)
        await self._expect(api)

    async def _start(self, api: Api, generation: Generation, count: int) -> None:
        for _ in range(count):
            order = _order(api, generation, await self._revision(api.name, generation))
            if order is None:
                return
            self.startup_timer.ordered(api.name, order.id)
            await self.backend.start(order)

    async def _expect(self, api: Api) -> None:
        """More replicas of what is live may be wanted at any moment. A rollout's first ones are not kept
        waiting by what is loaded for later ones."""
        if api.live is None or api.deleting:
            self.backend.expect(api.name, None)
        else:
            self.backend.expect(api.name, _order(api, api.live, await self._revision(api.name, api.live)))
        await self._publish_fork_server(api.name)

    # Record

    async def _publish_events(self, name: str) -> None:
        """Put the replicas on the board, and keep what has happened to them since the last time.

        Before anything is done: what cannot be done (the disk is full, say) must not make us blind.
        """
        before, replicas = self.board.replicas.get(name, ()), self._replicas(name)
        self.board.replicas[name] = replicas
        if before != replicas:
            self.board.replica_signals.notify(name)
        followed_events = replica_events(
            name, {r.id: r for r in before}, {r.id: r for r in replicas}, self.clock.now()
        )
        await self._keep(name, *followed_events)

    async def _publish_fork_server(self, name: str) -> None:
        before, after = self.board.fork_servers.get(name), self.backend.fork_server(name)
        if after is None:
            self.board.fork_servers.pop(name, None)
        else:
            self.board.fork_servers[name] = after
        if event := fork_server_event(name, before, after, self.clock.now()):
            await self._keep(name, event)

    async def _record(self, situation: Situation[Any], step: Plan) -> None:
        api = situation.api
        if step.makes_way:
            await self._keep(api.name, preemption_event(api.name, step.makes_way, self.clock.now()))
        if step.verdict:
            if await self._finish(api, step.verdict):
                await self._keep(api.name, verdict_event(api, step.verdict, self.clock.now()))
            self.board.intent_signals.notify(
                api.name
            )  # the intent has changed either way: plan again from it
        if step.forget:
            await self.store.remove(api.name)
            await self._clean_up(api.name)

    async def _finish(self, api: Api, verdict: Verdict) -> bool:
        """Write the verdict; False where another intent was written meanwhile."""
        try:
            await self.store.finish(api, verdict.outcome, verdict.message, self.clock.now())
        except StaleVersion:
            log.info("the intent of %s changed before the end of its rollout was written", api.name)
            return False
        return True

    async def _keep(self, name: str, *events: Event) -> None:
        """Events are for people: where they cannot be kept, work goes on without them."""
        if not events:
            return
        try:
            await self.store.record(*events)
        except StateError as error:
            log.warning("%d events of %s are lost: %s", len(events), name, error)
        self.board.replica_signals.notify(name)

    async def _clean_up(self, name: str) -> None:
        """Nothing of this API is wanted: forget it, and end replicas that nobody owns."""
        self._retiring.pop(name, None)
        self.startup_timer.forget(name)
        self.board.fork_servers.pop(name, None)
        self._revisions = {key: value for key, value in self._revisions.items() if key[0] != name}
        if self.board.routes.pop(name, None):
            self.board.route_signals.notify(name)
        orphans = self._replicas(name)
        for replica in orphans:
            await self.backend.stop(replica.id, grace=DRAIN_ALLOWANCE)
        if orphans:
            return
        await self.backend.remove(name)
        if self.board.replicas.pop(name, None) is not None:
            self.board.replica_signals.notify(name)


def _comparable(name: str, live: StoredSpec | None, target: StoredSpec) -> StoredSpec | None:
    """Return the live specification if it is of the target's kind.

    Of one that cannot be read there is a stand-in: its path and timeout hold until the rollout is done.
    """
    if isinstance(live, UnreadableSpec) and isinstance(target, RealtimeSpec):
        return stand_in(name, live)
    return live if type(live) is type(target) else None


def _order(api: Api, generation: Generation, revision: Revision) -> ReplicaOrder | None:
    """None: there can be no replica of this revision."""
    if not isinstance(revision.spec, RealtimeSpec):
        return None
    suffix = "".join(secrets.choice(_ID_LETTERS) for _ in range(5))
    return ReplicaOrder(
        id=f"{api.name}-{generation.number}-{suffix}",
        api=api.name,
        generation=generation.number,
        revision=revision.number,
        workload=workload_of(revision.spec, revision.package),
    )
