"""The number of replicas of each API, every second: observe → sample → decide (pure) → request."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.slices import slices
from gyrus.aio.tasks import persist
from gyrus.aio.ticks import ticks
from gyrus.autoscaling.policy import Decision, Sample
from gyrus.contract.operator import ScalingView
from gyrus.contract.times import rfc3339
from gyrus.contract.workload import ComputeResources, Workload
from gyrus.control.events import scaled_event, shortage_event
from gyrus.control.policy_memories import LearnedPolicy, LivePolicy, PolicyMemories
from gyrus.control.ready_count import NONE, ReadyCount
from gyrus.control.start_failure import is_refused, refused_start
from gyrus.control.startup_times import expected
from gyrus.control.traffic_sampler import TrafficSample, TrafficSampler
from gyrus.spec.replicated import ReplicatedSpec, Scaling
from gyrus.state.api_cache import ApiCache
from gyrus.state.board import Board
from gyrus.state.errors import NotFound, StaleVersion
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.records import Api, Event
from gyrus.state.store import Store
from gyrus.state.transitions import is_proven

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two decisions about an API."""

LOOK = 0.25
"""Seconds between two observations of its traffic: the interval at which the gateway measures it."""

EPISODE = 60.0
"""Seconds without a shortage of capacity after which the next one is reported again."""

SAVE_EVERY = 300.0
"""Seconds between two writes of what the policies have learned. A killed operator loses what came since."""

RETRY = Backoff(0.2, 30)


class ScalingCapacity(Protocol):
    """The part of a :class:`gyrus.backends.protocol.CapacitySource` that the autoscaler needs."""

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None: ...

    def shortage_for(self, api: str, compute: ComputeResources) -> str: ...


@dataclass(frozen=True, slots=True)
class _ScaledRevision:
    """The parts of a revision that the autoscaler uses."""

    number: int
    scaling: Scaling
    workload: Workload


@dataclass(slots=True)
class _ScaledApi:
    """State of one API between two decisions."""

    created_at: datetime
    revision: _ScaledRevision
    policy: LivePolicy
    samples: TrafficSampler = field(default_factory=TrafficSampler)
    ready: ReadyCount = field(default_factory=ReadyCount)
    decided_at: float = 0.0
    """Time of the latest sample, in seconds since the epoch."""
    short_until: float = 0.0
    """End of the reported episode, in the same seconds. A shortage before it is not reported again."""
    failing: bool = False


@dataclass(slots=True)
class Autoscaler:
    """Requests as many replicas of each API as its policy decides, until cancelled.

    The number of replicas is in the API's record. What the policies have learned is stored now and then, and
    read when the next operator first decides about an API. All other state is lost with the process.
    """

    store: Store
    board: Board
    clock: Clock
    events: EventRecorder
    policy: Callable[[Scaling], LivePolicy]
    capacity: ScalingCapacity
    memories: PolicyMemories = field(init=False)
    _apis: ApiCache = field(init=False)
    _scaled: dict[str, _ScaledApi] = field(default_factory=dict[str, _ScaledApi])
    _unscaled: dict[str, tuple[datetime, int]] = field(default_factory=dict[str, tuple[datetime, int]])
    """By API: time of creation and revision, of APIs whose revision is not scaled."""

    def __post_init__(self) -> None:
        self.memories = PolicyMemories(self.store, self.clock)
        self._apis = ApiCache(self.store, self.clock)

    async def run(self) -> None:
        bodies = {
            "looks": self._look,
            "decisions": self._decide_all,
            "demand": self._answer_demand,
            "memories": self._save_regularly,
        }
        async with asyncio.TaskGroup() as group:
            for name, body in bodies.items():
                forever = persist(f"scaling: {name}", body, backoff=RETRY, clock=self.clock)
                group.create_task(forever, name=f"scaling: {name}")

    async def save_memories(self) -> None:
        """Store what the policies have learned, for the next operator."""
        policies = [LearnedPolicy(name, it.created_at, it.policy) for name, it in self._scaled.items()]
        await self.memories.save(policies)

    # When

    async def _save_regularly(self) -> None:
        while True:
            await self.clock.sleep(SAVE_EVERY)
            await self.save_memories()

    async def _look(self) -> None:
        async for _ in ticks(self.clock, LOOK):
            async for name, scaled in slices(tuple(self._scaled.items()), clock=self.clock):
                self._look_at(name, scaled)

    async def _decide_all(self) -> None:
        with self.board.intent_signals.listen() as changes:
            self._apis.expire()  # a change may have been signalled before this began to listen
            async for _ in ticks(self.clock, EVERY):
                self._apis.invalidate(changes.take())
                records = await self._apis.refresh()
                kept = {name: api for name, api in records.items() if not api.deleting}
                self._forget_others(kept)
                async for api in slices(kept.values(), clock=self.clock):
                    await self._scale_one(api)

    async def _answer_demand(self) -> None:
        """Scale up from zero at once, since a request waits. Other APIs wait for the next second."""
        with self.board.demand_signals.listen() as listener:
            async for names in listener:
                for name in names:
                    await self._wake(name)

    async def _wake(self, name: str) -> None:
        """Decide at once, from the requests that are held now. A stale record is read again."""
        for known in (self._apis.get(name), None):
            api = known or await self.store.api(name)
            if api is None or api.deleting or api.replicas:
                return
            if scaled := self._scaled.get(name):
                scaled.samples.reset()  # idle observations would lower the average
                self._look_at(name, scaled)
            if await self._scale_one(api):
                return

    def _look_at(self, name: str, scaled: _ScaledApi) -> None:
        scaled.samples.add(self.board.traffic.get(name), self.board.held.get(name, 0))

    # One API

    async def _scale_one(self, api: Api) -> bool:
        """Decide, and request the decided number. Returns False if the record has changed meanwhile.

        A failure affects no other API, is logged once, and is followed by another attempt in a second.
        """
        try:
            scaled = await self._watch(api)
            if scaled is None:
                return True
            decision = self._decide(api, scaled)
            if decision:
                await self._follow(api, scaled, decision)
            scaled.failing = False
        except (StaleVersion, NotFound):
            self._apis.invalidate([api.name])
            return False
        except Exception:
            if (known := self._scaled.get(api.name)) is None or not known.failing:
                log.exception("cannot decide the number of replicas of %s; it stays unchanged", api.name)
            if known:
                known.failing = True
        return True

    async def _watch(self, api: Api) -> _ScaledApi | None:
        """Return the state of this API, updated to its specification. Returns None if it is not scaled.

        An API that was deleted and created again (known by its time of creation) begins with a new state.
        """
        scaled = self._scaled.get(api.name)
        known = scaled if scaled and scaled.created_at == api.created_at else None
        if known and known.revision.number == api.target.revision:
            return known
        if self._unscaled.get(api.name) == (api.created_at, api.target.revision):
            return None
        revision = await self._revision(api)
        if revision is None:
            self._forget(api.name)
            self._unscaled[api.name] = (api.created_at, api.target.revision)
            return None
        if known:
            known.revision = revision
            known.policy.reconfigure(revision.scaling)
            return known
        scaled = _ScaledApi(api.created_at, revision, await self._policy(api, revision.scaling))
        self._scaled[api.name] = scaled
        self._look_at(api.name, scaled)
        return scaled

    async def _policy(self, api: Api, scaling: Scaling) -> LivePolicy:
        """Return a policy that continues from what an earlier operator stored, if it did."""
        policy = self.policy(scaling)
        if memory := await self.memories.find(api):
            policy.recall(memory, self.clock.now().timestamp())
            self.board.asked.setdefault(api.name, datetime.fromtimestamp(memory.active, UTC))
        return policy

    async def _revision(self, api: Api) -> _ScaledRevision | None:
        """Return the target's revision. Returns None if it is not scaled, or cannot be read."""
        revision = await self.store.revision(api.name, api.target.revision)
        if revision is None:
            raise NotFound(f"revision {api.target.revision} of {api.name} is not in the store")
        spec = revision.spec
        if not isinstance(spec, ReplicatedSpec) or spec.scaling is None:
            return None
        return _ScaledRevision(revision.number, spec.scaling, spec.workload(revision.package))

    def _decide(self, api: Api, scaled: _ScaledApi) -> Decision | None:
        """Return the policy's decision. Returns None while nothing is known of the traffic."""
        seen = scaled.samples.take(idle=not api.replicas)
        if seen is None:
            return None
        if seen.in_flight:
            self.board.asked[api.name] = self.clock.now()
        return kept_for_proof(scaled.policy.decide(self._sample(api, scaled, seen)), api)

    def _sample(self, api: Api, scaled: _ScaledApi, seen: TrafficSample) -> Sample:
        replicas = self.board.replicas.get(api.name, ())
        ready = scaled.ready.of(replicas, self.board.acknowledged.get(api.name, NONE))
        slots, workload = scaled.revision.scaling.slots, scaled.revision.workload
        return Sample(
            now=self._now(scaled),
            in_flight=seen.in_flight,
            busy=seen.at_work if slots is None else min(seen.at_work, slots * ready),
            ready=ready,
            requested=api.replicas,
            startup=expected(self.board.starts.get(api.name, ()), workload),
            capacity=self.capacity.capacity_for(api.name, workload.compute),
        )

    def _now(self, scaled: _ScaledApi) -> float:
        """Return a time that grows with every call, even by less than the clock's resolution.

        If the machine's clock was set back, the policy begins again with an empty memory.
        """
        now = self.clock.now().timestamp()
        if now < scaled.decided_at - EVERY:
            scaled.policy = self.policy(scaled.revision.scaling)
            scaled.decided_at = scaled.short_until = 0.0
        scaled.decided_at = max(now, scaled.decided_at + 1e-6)
        return scaled.decided_at

    # Effects of a decision

    async def _follow(self, api: Api, scaled: _ScaledApi, decision: Decision) -> None:
        """Request the number first, and report it afterwards: from zero every millisecond counts."""
        now = self.clock.now()
        if decision.replicas != api.replicas:
            self._apis.put(await self.store.scale(api, decision.replicas))
            self.board.intent_signals.notify(api.name)
        self._publish(api.name, decision)
        if is_refused(decision):
            shortage = self.capacity.shortage_for(api.name, scaled.revision.workload.compute)
            self.board.start_failures[api.name] = refused_start(api, decision, shortage, now)
        self.events.record(*_events(api, scaled, decision, now))

    def _publish(self, name: str, decision: Decision) -> None:
        self.board.scaling[name] = viewed(decision)
        counts = self.board.decisions.setdefault(name, Counter())
        counts[decision.rule, _direction(decision)] += 1

    def _forget_others(self, names: Iterable[str]) -> None:
        kept = frozenset(names)
        for name in frozenset(chain(*self._kept_by_name())) - kept:
            self._forget(name)

    def _forget(self, name: str) -> None:
        for known in self._kept_by_name():
            known.pop(name, None)

    def _kept_by_name(self) -> tuple[dict[str, Any], ...]:
        return (self._scaled, self._unscaled, self.board.scaling, self.board.decisions, self.board.asked)


def kept_for_proof(decision: Decision, api: Api) -> Decision:
    """Keep one replica of a revision that is not proven: without any, it could neither succeed nor fail."""
    if decision.replicas or not api.replicas or is_proven(api):
        return decision
    because = f"revision {api.target.revision} is not proven yet and keeps one replica"
    return replace(decision, replicas=1, rule="rollout", because=because)


def viewed(decision: Decision) -> ScalingView:
    return ScalingView(
        time=rfc3339(datetime.fromtimestamp(decision.at, UTC)),
        was=decision.was,
        desired=decision.wanted,
        replicas=decision.replicas,
        rule=decision.rule,
        message=str(decision),
        inputs={name: round(value, 3) for name, value in decision.inputs.items()},
    )


def _direction(decision: Decision) -> str:
    if decision.replicas == decision.was:
        return "stay"
    return "up" if decision.replicas > decision.was else "down"


def _events(api: Api, scaled: _ScaledApi, decision: Decision, now: datetime) -> Iterable[Event]:
    if decision.replicas != api.replicas:
        yield scaled_event(api.name, decision, now)
    if decision.rule == "capacity":
        if decision.at > scaled.short_until:
            yield shortage_event(api.name, decision, now)
        scaled.short_until = decision.at + EPISODE
