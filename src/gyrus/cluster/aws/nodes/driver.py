"""The loop that plans a cluster's nodes: observe → plan (pure) → store → carry out → report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from time import perf_counter
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Listener, Signals, listen
from gyrus.aio.tasks import first_of, persist
from gyrus.cluster.aws.errors import AwsError
from gyrus.cluster.aws.nodes.changes import NodeChanges
from gyrus.cluster.aws.nodes.node_pods import pod_of
from gyrus.cluster.aws.nodes.nodes_view import changes_of, nodes_view, with_changes
from gyrus.cluster.aws.nodes.notice_queue import NoticeQueue
from gyrus.cluster.aws.nodes.notices import merged
from gyrus.cluster.aws.nodes.observation import GroupRules, nodes_state, observed_record
from gyrus.cluster.aws.nodes.observer import NodeObserver, StaleObjects
from gyrus.cluster.aws.nodes.record import (
    NodesRecord,
    UnreadableRecord,
    after_plan,
    decoded,
    encoded,
)
from gyrus.contract.nodes import NodesView
from gyrus.nodes.planner import plan_nodes
from gyrus.state.errors import StateError

log = logging.getLogger(__name__)

EVERY = 10.0
"""Most seconds between two plans."""
LEAST = 1.0
"""Least seconds between two plans."""
RETRY = Backoff(1.0, 30.0)
EXPECTED = (AwsError, StaleObjects, StateError)
"""Errors that pass: the next turn tries again."""


class RecordStore(Protocol):
    """The place of the driver's record."""

    async def nodes_record(self) -> bytes | None:
        """Return the stored record. Returns None if there is none. Raises StateError."""
        ...

    async def save_nodes_record(self, document: bytes) -> None:
        """Store a record. Raises StateError, also if this operator leads no more."""
        ...


@dataclass(slots=True)
class NodeDriver:
    """Plans the nodes of one cluster until cancelled."""

    observer: NodeObserver
    changes: NodeChanges
    queue: NoticeQueue | None
    store: RecordStore
    rules: Callable[[], GroupRules]
    """Returns the node groups, with the present prices."""
    clock: Clock
    publish: Callable[[NodesView], None]
    view: NodesView = field(default_factory=lambda: NodesView(scaler="gyrus"))
    _wanted: Signals = field(default_factory=Signals)
    """Signals that something calls for a plan at once."""
    _record: NodesRecord | None = None
    _logged: str = ""
    _last: float | None = None
    """Monotonic time of the last plan."""

    async def run(self) -> None:
        """Run all parts, in tasks of their own."""
        bodies = {"objects": self.observer.follow, "pods": self._follow_pods, "plans": self._plan_regularly}
        if self.queue is not None:
            bodies["notices"] = self.queue.run
        async with asyncio.TaskGroup() as group:
            for name, body in bodies.items():
                forever = persist(f"nodes: {name}", body, backoff=RETRY, clock=self.clock)
                group.create_task(forever, name=f"nodes: {name}")

    async def _plan_regularly(self) -> None:
        sources = [self._wanted, self.observer.nodes.changes]
        if self.queue is not None:
            sources.append(self.queue.changes)
        await first_of(self.observer.listed(), self.clock.sleep(EVERY))
        with listen(*sources) as signals:
            while True:
                signals.take()
                await self.turn()
                await self.clock.sleep(LEAST)
                await first_of(_signalled(signals), self.clock.sleep(EVERY - LEAST))

    async def _follow_pods(self) -> None:
        """Call for a plan when a pod finds no node."""
        pods = self.observer.pods
        with pods.changes.listen() as changes:
            async for names in changes:
                if self._any_waits(names):
                    self._wanted.notify("pending")

    def _any_waits(self, names: Collection[str]) -> bool:
        found = (self.observer.pods.objects.get(name) for name in names)
        return any(pod_of(pod).waits for pod in found if pod is not None)

    async def turn(self) -> None:
        """Observe, plan, store and carry out once. Errors that pass are reported, and logged once."""
        try:
            await self._turn()
            fault = ""
        except* EXPECTED as errors:
            fault = "; ".join(dict.fromkeys(str(error) for error in _innermost(errors)))
        if fault and fault != self._logged:
            log.warning("Nodes cannot be planned now: %s", fault)
        if fault or self.view.fault:
            self._publish(replace(self.view, fault=fault))
        self._logged = fault

    async def _turn(self) -> None:
        record = self._record or await self._recalled()
        received = dict(self.queue.waiting) if self.queue else {}
        notices = chain.from_iterable(one.message.notices for one in received.values())
        record = replace(record, notices=merged(record.notices, tuple(notices)))
        seen = await self.observer.observe()
        record = observed_record(record, seen)
        state = nodes_state(self.rules(), seen, record)
        began = perf_counter()
        plan = plan_nodes(state)
        took = perf_counter() - began
        messages = list(changes_of(state, plan, seen))
        changes = with_changes(record.changes, messages, state.now)
        record = replace(after_plan(record, plan, state), changes=changes)
        await self.store.save_nodes_record(encoded(record))
        self._record = record
        for message in messages:
            log.info("%s", message)
        outcome = await self.changes.carry_out(plan, state, seen)
        if self.queue is not None:
            await self.queue.delete(received)
        view = replace(nodes_view(state, plan, seen), changes=changes, plan_seconds=took)
        self._report(view, outcome.failures, is_short=bool(plan.unplaced))

    async def _recalled(self) -> NodesRecord:
        document = await self.store.nodes_record()
        try:
            return decoded(document) if document else NodesRecord()
        except UnreadableRecord as error:
            log.warning("The record of nodes cannot be read and begins again: %s", error)
            return NodesRecord()

    def _report(self, view: NodesView, failures: list[str], *, is_short: bool) -> None:
        for failure in failures:
            if failure not in self.view.failures:
                log.warning("%s", failure)
        self._publish(
            replace(
                view,
                failures=tuple(failures),
                short_seconds=self.view.short_seconds + self._since_last() * is_short,
            )
        )

    def _since_last(self) -> float:
        """Return the seconds since the last plan."""
        now, before = self.clock.monotonic(), self._last
        self._last = now
        return 0.0 if before is None else now - before

    def _publish(self, view: NodesView) -> None:
        self.view = view
        self.publish(view)


async def _signalled(signals: Listener) -> None:
    await signals.wait()


def _innermost(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _innermost(error)
        else:
            yield error
