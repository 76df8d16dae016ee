"""The reconciliation of one API, step by step: observe → report → plan → act → conclude."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.slices import slices
from gyrus.backends.protocol import CapacitySource, Cleanup, ReplicaOrder, ReplicaRunner, WarmStarts
from gyrus.control.api_observer import ApiObserver
from gyrus.control.events import fork_server_event, preemption_event, replica_events, verdict_event
from gyrus.control.plan import Plan
from gyrus.control.planners import planner_for
from gyrus.control.request_counts import InFlightSource, in_flight_of, no_counts
from gyrus.control.situation import Situation
from gyrus.control.start_failure import start_failure
from gyrus.control.startup_times import StartupTimer
from gyrus.control.verdict import Verdict
from gyrus.spec.replicated import ReplicatedSpec
from gyrus.spec.workload import DRAIN_ALLOWANCE
from gyrus.state.board import Board, Route
from gyrus.state.errors import StaleVersion
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.records import Api, Generation, Revision
from gyrus.state.store import Store

log = logging.getLogger(__name__)

_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class ReconciledBackend(ReplicaRunner, CapacitySource, WarmStarts, Cleanup, Protocol):
    """The part of a backend that the reconciler needs."""


@dataclass(slots=True)
class Reconciler:
    """Reconciles one API at a time with its intent.

    The caller ensures that no two calls work on the same API at once.
    """

    store: Store
    board: Board
    backend: ReconciledBackend
    clock: Clock
    events: EventRecorder
    activator: str | None = None
    """The endpoint that receives requests while there is no replica. None if there is none."""
    in_flight: InFlightSource = no_counts
    """The source of requests in flight, by which the replicas that leave are chosen."""
    startup_timer: StartupTimer = field(init=False)
    _observer: ApiObserver = field(init=False)
    _retiring: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    def __post_init__(self) -> None:
        self.startup_timer = StartupTimer(self.store, self.board, self.clock)
        self._observer = ApiObserver(self.store, self.board, self.backend, self.activator)

    async def restore(self) -> None:
        """Fill the board from the store and from the running replicas, and change nothing else."""
        async for api in slices(await self.store.apis(), clock=self.clock):
            situation = await self._observer.observe(api, frozenset())
            self.board.replicas[api.name] = situation.replicas
            desired = planner_for(situation).route(situation, situation.retiring)
            if desired and not api.deleting:
                self.board.routes[api.name] = desired

    async def reconcile(self, name: str) -> float | None:
        """Take the API's next step. Returns the seconds after which to take another, or None."""
        api = await self.store.api(name)
        if api is None:
            await self._clean_up(name)
            return None
        situation = await self._observe(api)
        self._report(situation)
        step = planner_for(situation).plan(situation, self.clock.now())
        await self._act(situation, step)
        await self._conclude(situation, step)
        return step.wake_after

    async def _observe(self, api: Api) -> Situation[Any]:
        await self.startup_timer.recall(api)
        situation = await self._observer.observe(api, self._retiring.get(api.name, frozenset()))
        counts = await in_flight_of(situation, self.board.routes.get(api.name), self.in_flight)
        if not counts:
            return situation
        # The replicas took a moment to answer, in which the intent or they themselves may have changed.
        api = await self.store.api(api.name) or api
        present = await self._observer.observe(api, situation.retiring)
        return replace(present, in_flight=counts)

    # Report

    def _report(self, situation: Situation[Any]) -> None:
        """Write the replicas to the board, and record what has happened to them since the last step.

        This comes before the plan and any act, so that a failing act (because the disk is full) hides no
        change. It never waits, so that the plan is of the present.
        """
        name, replicas = situation.api.name, situation.replicas
        before = self.board.replicas.get(name, ())
        if before != replicas:
            self.board.replicas[name] = replicas
            self.board.replica_signals.notify(name)
            self.events.record(*replica_events(name, before, replicas, self.clock.now()))
        self._note_start_failure(situation)
        self.startup_timer.look(situation)

    def _note_start_failure(self, situation: Situation[Any]) -> None:
        name, failures = situation.api.name, self.board.start_failures
        if failure := start_failure(failures.get(name), situation, self.clock.now()):
            failures[name] = failure
        else:
            failures.pop(name, None)

    # Act

    async def _act(self, situation: Situation[Any], step: Plan) -> None:
        """Publish the route, then stop and start replicas.

        The route comes first: it cannot fail, and replicas that retire are not in it.
        """
        api = situation.api
        self._publish(api.name, step.route)
        self._retiring[api.name] = step.retiring
        await self._stop(situation, step.stop)
        if api.live:
            await self._start(api, api.live, step.revive)
        await self._start(api, api.target, step.start)
        await self._expect(api)

    def _publish(self, name: str, desired: Route | None) -> None:
        """Write the route to the board if it differs, and notify its readers."""
        if self.board.routes.get(name) == desired:
            return
        if desired is None:
            del self.board.routes[name]
        else:
            self.board.routes[name] = desired
        self.board.route_signals.notify(name)

    async def _stop(self, situation: Situation[Any], ids: Iterable[str]) -> None:
        """Stop these replicas. Each may finish requests for the timeout of its own revision."""
        by_id = {replica.id: replica for replica in situation.replicas}
        for id in ids:
            timeout = situation.spec_of(by_id[id]).request_timeout
            await self.backend.stop(id, grace=timeout.total_seconds() + DRAIN_ALLOWANCE)

    async def _start(self, api: Api, generation: Generation, count: int) -> None:
        for _ in range(count):
            order = _order(api, generation, await self._observer.revision(api.name, generation))
            if order is None:
                return
            self.startup_timer.ordered(api.name, order.id)
            await self.backend.start(order)

    async def _expect(self, api: Api) -> None:
        """Prepare the backend for more replicas of the live generation, which may be requested at any moment.

        A generation that is not live is not prepared, so that its first replicas do not wait for a fork
        server that only later replicas would use.
        """
        if api.live is None or api.deleting:
            self.backend.expect(api.name, None)
        else:
            live = await self._observer.revision(api.name, api.live)
            self.backend.expect(api.name, _order(api, api.live, live))

    # Conclude

    async def _conclude(self, situation: Situation[Any], step: Plan) -> None:
        """Record the results of the step."""
        api = situation.api
        await self.startup_timer.store_measured(api.name)
        self._report_fork_server(api.name)
        if step.preempts:
            self.events.record(preemption_event(api.name, step.preempts, self.clock.now()))
        if step.verdict:
            if await self._finish(api, step.verdict):
                self.events.record(verdict_event(api, step.verdict, self.clock.now()))
                self.board.replica_signals.notify(api.name)
            # The verdict or another write has changed the intent: plan again.
            self.board.intent_signals.notify(api.name)
        if step.forget:
            await self.store.remove(api.name)
            await self._clean_up(api.name)

    def _report_fork_server(self, name: str) -> None:
        before, after = self.board.fork_servers.get(name), self.backend.fork_server(name)
        if after is None:
            self.board.fork_servers.pop(name, None)
        else:
            self.board.fork_servers[name] = after
        if event := fork_server_event(name, before, after, self.clock.now()):
            self.events.record(event)

    async def _finish(self, api: Api, verdict: Verdict) -> bool:
        """Write the verdict. Returns False if the intent has changed meanwhile."""
        try:
            await self.store.finish(api, verdict.outcome, verdict.message, self.clock.now())
        except StaleVersion:
            log.info("the intent of %s changed before the verdict of its rollout was written", api.name)
            return False
        return True

    async def _clean_up(self, name: str) -> None:
        """Remove all state of an API that is not in the store, and stop its orphaned replicas."""
        self._retiring.pop(name, None)
        self.startup_timer.forget(name)
        self.board.fork_servers.pop(name, None)
        self.board.start_failures.pop(name, None)
        self._observer.forget(name)
        if self.board.routes.pop(name, None):
            self.board.route_signals.notify(name)
        orphans = self._observer.replicas(name)
        for replica in orphans:
            await self.backend.stop(replica.id, grace=DRAIN_ALLOWANCE)
        if orphans:
            return
        await self.backend.remove(name)
        if self.board.replicas.pop(name, None) is not None:
            self.board.replica_signals.notify(name)


def _order(api: Api, generation: Generation, revision: Revision) -> ReplicaOrder | None:
    """Return an order for one replica. Returns None if there can be no replica of this revision."""
    if not isinstance(revision.spec, ReplicatedSpec):
        return None
    suffix = "".join(secrets.choice(_ID_LETTERS) for _ in range(5))
    return ReplicaOrder(
        id=f"{api.name}-{generation.number}-{suffix}",
        api=api.name,
        generation=generation.number,
        revision=revision.number,
        workload=revision.spec.workload(revision.package),
    )
