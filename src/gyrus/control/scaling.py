"""How many replicas each API should have, every second: look → sample → decide (pure) → request."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.tasks import persist
from gyrus.aio.ticks import ticks
from gyrus.autoscaling.policy import Decision, Policy, Sample
from gyrus.contract.operator import ScalingView
from gyrus.contract.replica import Phase
from gyrus.control.happenings import scaled_event, shortage_event
from gyrus.control.looks import Looks, Seen
from gyrus.control.starts import expected
from gyrus.spec.api import ApiSpec
from gyrus.state.board import Board
from gyrus.state.errors import NotFound, StaleVersion, StateError
from gyrus.state.records import Api, Event
from gyrus.state.store import Store
from gyrus.state.transitions import is_proven
from gyrus.state.view import rfc3339

log = logging.getLogger(__name__)

EVERY = 1.0
"""Seconds between two decisions about an API."""

LOOK = 0.25
"""Seconds between two looks at its traffic: as often as the gateway measures it."""

EPISODE = 60.0
"""Seconds without a shortage of capacity after which the next one is told again."""

RETRY = Backoff(0.2, 30)


class LivePolicy(Policy, Protocol):
    """One that goes on when the specification changes."""

    def reconfigure(self, spec: ApiSpec) -> None: ...


@dataclass(slots=True)
class _Watched:
    """What is remembered of one API between two decisions."""

    created_at: datetime
    revision: int
    spec: ApiSpec
    policy: LivePolicy
    looks: Looks = field(default_factory=Looks)
    decided_at: float = 0.0
    """Of the latest sample, in seconds since the epoch."""
    short_until: float = 0.0
    """Until then a shortage belongs to the episode that was told."""
    failing: bool = False


@dataclass(slots=True)
class Scaler:
    """Requests as many replicas of each API as its policy decides, until cancelled.

    The records are the truth: what it remembers is lost with the process, and policies begin anew.
    """

    store: Store
    board: Board
    clock: Clock
    policy: Callable[[ApiSpec], LivePolicy]
    room: Callable[[ApiSpec], int | None]
    """The most replicas of this specification that fit, those that run included; None: no limit is known."""
    _apis: dict[str, Api] = field(default_factory=dict[str, Api])
    """As read last, those being deleted left out."""
    _watched: dict[str, _Watched] = field(default_factory=dict[str, _Watched])

    async def run(self) -> None:
        bodies = {"looks": self._look, "decisions": self._decide_all, "demand": self._answer_demand}
        async with asyncio.TaskGroup() as group:
            for name, body in bodies.items():
                forever = persist(f"scaling: {name}", body, backoff=RETRY, clock=self.clock)
                group.create_task(forever, name=f"scaling: {name}")

    # When

    async def _look(self) -> None:
        async for _ in ticks(self.clock, LOOK):
            for name, watched in self._watched.items():
                self._look_at(name, watched)

    async def _decide_all(self) -> None:
        async for _ in ticks(self.clock, EVERY):
            self._apis = {api.name: api for api in await self.store.apis() if not api.deleting}
            self._forget_others(self._apis)
            for api in tuple(self._apis.values()):
                await self._attend(api)

    async def _answer_demand(self) -> None:
        """From zero every millisecond counts; what has a replica can wait for the next second."""
        with self.board.demand_hints.listen() as listener:
            async for names in listener:
                for name in names:
                    await self._wake(name)

    async def _wake(self, name: str) -> None:
        """Decide at once, upon what is held now. A record that proves stale is read again."""
        for known in (self._apis.get(name), None):
            api = known or await self.store.api(name)
            if api is None or api.deleting or api.replicas:
                return
            if watched := self._watched.get(name):
                watched.looks.begin_anew()
                self._look_at(name, watched)
            if await self._attend(api):
                return

    def _look_at(self, name: str, watched: _Watched) -> None:
        watched.looks.add(self.board.traffic.get(name), self.board.held.get(name, 0))

    # One API

    async def _attend(self, api: Api) -> bool:
        """Decide, and request what was decided; False where the record has changed meanwhile.

        What fails here harms no other API, is told once, and is tried again in a second.
        """
        try:
            watched = await self._watch(api)
            decision = self._decide(api, watched)
            if decision:
                await self._follow(api, watched, decision)
            watched.failing = False
        except (StaleVersion, NotFound):
            return False
        except Exception:
            if (known := self._watched.get(api.name)) is None or not known.failing:
                log.exception("the number of replicas of %s cannot be decided; it stays as it is", api.name)
            if known:
                known.failing = True
        return True

    async def _watch(self, api: Api) -> _Watched:
        """What is remembered of this API, brought to its present specification."""
        watched = self._watched.get(api.name)
        if watched is None or watched.created_at != api.created_at:
            spec = await self._spec(api)
            watched = _Watched(api.created_at, api.target.revision, spec, self.policy(spec))
            self._watched[api.name] = watched
            self._look_at(api.name, watched)
        elif watched.revision != api.target.revision:
            watched.spec = await self._spec(api)
            watched.revision = api.target.revision
            watched.policy.reconfigure(watched.spec)
        return watched

    async def _spec(self, api: Api) -> ApiSpec:
        revision = await self.store.revision(api.name, api.target.revision)
        if revision is None:
            raise NotFound(f"revision {api.target.revision} of {api.name} is not in the store")
        return revision.spec

    def _decide(self, api: Api, watched: _Watched) -> Decision | None:
        """None while nothing is known of the traffic."""
        seen = watched.looks.take(idle=not api.replicas)
        if seen is None:
            return None
        if seen.in_flight:
            self.board.asked[api.name] = self.clock.now()
        return kept_for_proof(watched.policy.decide(self._sample(api, watched, seen)), api)

    def _sample(self, api: Api, watched: _Watched, seen: Seen) -> Sample:
        ready = self._ready(api.name)
        slots = watched.spec.slots
        return Sample(
            now=self._now(watched),
            in_flight=seen.in_flight,
            busy=seen.at_work if slots is None else min(seen.at_work, slots * ready),
            ready=ready,
            requested=api.replicas,
            startup=expected(self.board.starts.get(api.name, ()), watched.spec),
            room=self.room(watched.spec),
        )

    def _ready(self, name: str) -> int:
        reached = self.board.acknowledged.get(name, frozenset())
        statuses = (replica.status for replica in self.board.replicas.get(name, ()))
        return sum(s.phase is Phase.READY and not reached.isdisjoint(s.endpoints) for s in statuses)

    def _now(self, watched: _Watched) -> float:
        """Grows with every call. A machine's clock that is set back ends what the policy remembers."""
        now = self.clock.now().timestamp()
        if now < watched.decided_at - EVERY:
            watched.policy = self.policy(watched.spec)
            watched.decided_at = watched.short_until = 0.0
        watched.decided_at = max(now, watched.decided_at + 1e-6)
        return watched.decided_at

    # What comes of a decision

    async def _follow(self, api: Api, watched: _Watched, decision: Decision) -> None:
        """Request it, then tell of it: from zero every millisecond counts."""
        now = self.clock.now()
        if decision.replicas != api.replicas:
            self._apis[api.name] = await self.store.scale(api, decision.replicas, now)
            self.board.intent_hints.notify(api.name)
        self._publish(api.name, decision)
        await self._keep(api.name, *_events(api, watched, decision, now))

    def _publish(self, name: str, decision: Decision) -> None:
        self.board.scaling[name] = viewed(decision)
        counts = self.board.decisions.setdefault(name, Counter())
        counts[decision.rule, _direction(decision)] += 1

    async def _keep(self, name: str, *events: Event) -> None:
        """Events are for people: where they cannot be kept, work goes on without them."""
        if not events:
            return
        try:
            await self.store.record(*events)
        except StateError as error:
            log.warning("%s of %s is lost: %s", ", ".join(e.message for e in events), name, error)
        self.board.replica_hints.notify(name)

    def _forget_others(self, names: Iterable[str]) -> None:
        kept = frozenset(names)
        for known in (self._watched, self.board.scaling, self.board.decisions, self.board.asked):
            for name in known.keys() - kept:
                del known[name]


def kept_for_proof(decision: Decision, api: Api) -> Decision:
    """What nothing runs of could neither succeed nor fail: a revision that is not proven keeps a replica."""
    if decision.replicas or not api.replicas or is_proven(api):
        return decision
    because = f"one replica is to prove revision {api.target.revision}"
    return replace(decision, replicas=1, rule="rollout", because=because)


def viewed(decision: Decision) -> ScalingView:
    return ScalingView(
        time=rfc3339(datetime.fromtimestamp(decision.at, UTC)),
        was=decision.was,
        wanted=decision.wanted,
        replicas=decision.replicas,
        rule=decision.rule,
        message=str(decision),
        inputs={name: round(value, 3) for name, value in decision.inputs.items()},
    )


def _direction(decision: Decision) -> str:
    if decision.replicas == decision.was:
        return "stay"
    return "up" if decision.replicas > decision.was else "down"


def _events(api: Api, watched: _Watched, decision: Decision, now: datetime) -> Iterable[Event]:
    if decision.replicas != api.replicas:
        yield scaled_event(api.name, decision, now)
    if decision.rule == "capacity":
        if decision.at > watched.short_until:
            yield shortage_event(api.name, decision, now)
        watched.short_until = decision.at + EPISODE
