"""Deciding and requesting in virtual time, over a real store, with a plain policy."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.autoscaling.memory import PolicyMemory
from gyrus.autoscaling.policy import Decision, Sample
from gyrus.backends.memory import MemoryBackend
from gyrus.contract.operator import Outcome, StartupTimes, TrafficView
from gyrus.contract.replica import Phase, StartKind
from gyrus.contract.workload import ComputeResources
from gyrus.control.autoscaler import Autoscaler
from gyrus.control.controller import Controller
from gyrus.control.reconciler import Reconciler
from gyrus.control.traffic_sampler import TRACE
from gyrus.spec.replicated import Scaling
from gyrus.state.api_cache import RELIST
from gyrus.state.board import Board, Traffic
from gyrus.state.errors import StoreUnusable
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api
from support.gateway import acknowledge
from support.world import spec


@dataclass
class Plain:
    """As many replicas as there are requests, within bounds and capacity."""

    scaling: Scaling
    every: float = 1.0
    samples: list[Sample] = field(default_factory=list[Sample])

    def decide(self, sample: Sample) -> Decision:
        self.samples.append(sample)
        bounds = self.scaling.settings
        wanted = math.ceil(sample.in_flight)
        replicas = min(max(wanted, bounds.min_replicas), bounds.max_replicas)
        short = sample.capacity is not None and replicas > sample.capacity
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=wanted,
            replicas=sample.capacity if short and sample.capacity is not None else replicas,
            rule="capacity" if short else "",
            because=f"there is room for {sample.capacity}" if short else "",
            inputs={"average": sample.in_flight},
        )

    def reconfigure(self, scaling: Scaling) -> None:
        self.scaling = scaling

    def memory(self) -> None:
        return None

    def recall(self, memory: PolicyMemory, now: float) -> None:
        raise AssertionError("it never had a memory")


class Faulty(Plain):
    def decide(self, sample: Sample) -> Decision:
        raise ZeroDivisionError


@dataclass
class Stage:
    """A scaler, control and a gateway in virtual time."""

    store: MemoryStore
    clock: VirtualClock = field(default_factory=VirtualClock)
    board: Board = field(default_factory=Board)
    backend: MemoryBackend = field(init=False)
    recorder: EventRecorder = field(init=False)
    autoscaler: Autoscaler = field(init=False)
    policies: list[Plain] = field(default_factory=list[Plain])
    """All that were made, the newest last."""
    kinds: list[type[Plain]] = field(default_factory=list[type[Plain]])
    """The classes of the next ones, before they are plain."""
    capacity: int | None = None
    shortage: str = "there is no capacity: needs 1 CPU, 0 of 1 free"

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        return self.capacity

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        return self.shortage

    def __post_init__(self) -> None:
        self.backend = MemoryBackend(clock=self.clock)
        self.recorder = EventRecorder(self.store, self.board, self.clock, every=0)
        self.autoscaler = Autoscaler(self.store, self.board, self.clock, self.recorder, self.policy, self)

    def policy(self, scaling: Scaling) -> Plain:
        kind = self.kinds.pop(0) if self.kinds else Plain
        self.policies.append(kind(scaling))
        return self.policies[-1]

    async def deploy(self, **changes: object) -> None:
        fields = {"autoscaling": {"min_replicas": 0, "max_replicas": 9}, **changes}
        made = spec(**fields)
        await self.store.deploy([made], None, self.clock.now())
        self.board.intent_signals.notify(made.name)
        await self.clock.settle()

    def see(self, in_flight: int, name: str = "iris", answered: int = 0) -> None:
        traffic = Traffic(in_flight=in_flight, view=TrafficView(requests=answered))
        self.board.traffic = {**self.board.traffic, name: traffic}

    async def hold(self, count: int, name: str = "iris") -> None:
        self.board.held[name] = count
        self.board.demand_signals.notify(name)
        await self.clock.settle()

    async def api(self, name: str = "iris") -> Api:
        api = await self.store.api(name)
        assert api
        return api

    async def events(self, *reasons: str, name: str = "iris") -> list[str]:
        """The first line of each, as often as it has happened."""
        await self.recorder.flushed()
        events = [e for e in await self.store.events(name) if e.reason in reasons]
        return [event.message.partition("\n")[0] for event in events for _ in range(event.count)]

    @property
    def samples(self) -> list[Sample]:
        return self.policies[-1].samples

    def phases(self) -> list[Phase]:
        return sorted(replica.status.phase for replica in self.board.replicas["iris"])


@asynccontextmanager
async def stage(store: MemoryStore | None = None) -> AsyncGenerator[Stage]:
    at = Stage(store or MemoryStore())
    controller = Controller(Reconciler(at.store, at.board, at.backend, at.clock, at.recorder))
    async with asyncio.TaskGroup() as group:
        bodies = (
            at.recorder.run(), at.backend.run(), acknowledge(at.board), controller.run(), at.autoscaler.run()
        )  # fmt: skip
        tasks = [group.create_task(body) for body in bodies]
        await at.clock.settle()
        yield at
        for task in tasks:
            task.cancel()


async def test_the_number_of_replicas_follows_the_traffic_and_is_explained() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(3)
        await at.clock.advance(2)
        assert (await at.api()).replicas == 3
        assert at.phases() == [Phase.READY] * 3
        assert await at.events("ScaledUp") == [
            "Scaled from 1 to 3: desired 3, set to 3: 3 in flight now, 3 on average"
        ]
        at.see(1)
        await at.clock.advance(3)
        assert at.phases() == [Phase.READY]
        assert await at.events("ScaledDown") == [  # the first second saw both
            "Scaled from 3 to 2: desired 2, set to 2: 1.5 in flight now, 1.5 on average",
            "Scaled from 2 to 1: desired 1, set to 1: 1 in flight now, 1 on average",
        ]
        view = at.board.scaling["iris"]
        assert (view.was, view.desired, view.replicas, view.inputs) == (1, 1, 1, {"average": 1.0})
        assert at.board.decisions["iris"]["", "up"] == 1
        assert at.board.decisions["iris"]["", "down"] == 2


async def test_it_decides_every_second_and_averages_the_looks_between() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(1)
        await at.clock.advance(2.1)
        at.samples.clear()
        for in_flight in (1, 2, 3, 4, 1, 2, 3, 4):
            at.see(in_flight)
            await at.clock.advance(0.25)
        start = at.clock.now().timestamp() - 0.1
        assert [sample.now for sample in at.samples] == pytest.approx([start - 1, start], abs=1e-3)
        assert at.samples[-1].in_flight == 2.5


async def test_what_a_sample_contains() -> None:
    async with stage() as at:
        await at.deploy(max_concurrency=2)
        at.see(9)
        await at.hold(4)
        await at.clock.advance(1)
        at.board.starts["iris"] = (StartupTimes(kind=StartKind.COLD, median=1.5, last=2, count=3),)
        [pool] = at.board.acknowledged["iris"]
        at.board.acknowledged["iris"] = {pool: frozenset(list(at.board.acknowledged_of("iris"))[:1])}
        at.capacity = 30
        at.samples.clear()
        await at.clock.advance(1)
        [sample] = at.samples
        assert (sample.in_flight, sample.busy, sample.ready, sample.requested) == (9, 2, 1, 9)
        assert (sample.startup, sample.capacity) == (1.5, 30)


async def test_while_nothing_is_known_of_the_traffic_nothing_changes() -> None:
    async with stage() as at:
        await at.deploy()
        await at.clock.advance(5)
        assert (await at.api()).replicas == 1
        assert not at.board.scaling


async def test_an_idle_api_has_no_replica_and_wakes_at_once() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0)
        await at.clock.advance(3)
        api = await at.api()
        assert (api.replicas, api.outcome) == (0, Outcome.DONE)
        assert at.board.replicas["iris"] == ()
        await at.hold(1)  # no time passes
        assert (await at.api()).replicas == 1
        assert at.phases() == [Phase.READY]
        assert await at.events("ScaledUp") == [
            "Scaled from 0 to 1: desired 1, set to 1: 1 in flight now, 1 on average"
        ]
        assert at.board.asked["iris"] == at.clock.now()


async def test_a_refused_start_is_remembered_until_a_start_succeeds() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0)
        await at.clock.advance(3)
        at.capacity = 0
        await at.hold(1)
        refused_at = at.clock.now()
        assert (await at.api()).replicas == 0
        failure = at.board.start_failures["iris"]
        assert (failure.message, failure.at) == (at.shortage, refused_at)
        at.board.held.clear()
        await at.clock.advance(60)
        assert at.board.start_failures["iris"] == failure
        at.capacity = 1
        await at.hold(1)
        assert at.phases() == [Phase.READY]
        assert not at.board.start_failures


async def test_what_was_seen_before_does_not_dilute_the_demand() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0)
        await at.clock.advance(2.9)
        await at.hold(3)
        assert (await at.api()).replicas == 3


async def test_demand_that_meets_a_stale_record_reads_it_again() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0)
        await at.clock.advance(3)
        await at.store.scale(await at.api(), 0)  # another version, the same intent
        await at.hold(1)
        assert (await at.api()).replicas == 1


async def test_requests_too_short_to_be_seen_keep_a_replica() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(1)
        await at.clock.advance(2)
        for answered in range(1, 6):
            at.see(0, answered=answered)
            await at.clock.advance(1)
        assert (await at.api()).replicas == 1
        assert at.samples[-1].in_flight == TRACE
        assert at.board.asked["iris"]
        assert await at.events("ScaledDown") == []


async def test_one_that_is_counted_late_does_not_wake_an_idle_api() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0, answered=1)
        await at.clock.advance(3)
        assert (await at.api()).replicas == 0
        at.see(0, answered=2)
        await at.clock.advance(3)
        assert (await at.api()).replicas == 0


async def test_a_revision_that_is_not_proven_keeps_a_replica() -> None:
    async with stage() as at:
        at.backend.held = Everything()
        await at.deploy()
        at.see(0)
        await at.clock.advance(3)
        assert (await at.api()).replicas == 1
        assert (
            at.board.scaling["iris"].message
            == "desired 0, set to 1: revision 1 is not proven yet and keeps one replica"
        )
        at.backend.held = set()
        at.backend.release()
        await at.clock.advance(3)
        assert (await at.api()).replicas == 0


class Everything(set[str]):
    def __contains__(self, _: object) -> bool:
        return True


async def test_a_deploy_to_an_idle_api_is_proven_then_it_is_idle_again() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(0)
        await at.clock.advance(3)
        await at.deploy(env={"A": "b"})
        await at.clock.advance(3)
        api = await at.api()
        assert (api.replicas, api.outcome, api.live) == (0, Outcome.DONE, api.target)
        assert api.target.revision == 2


async def test_a_new_revision_reconfigures_the_policy() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(5)
        await at.clock.advance(2)
        policy = at.policies[-1]
        await at.deploy(autoscaling={"min_replicas": 0, "max_replicas": 2})
        await at.clock.advance(2)
        assert at.policies[-1] is policy
        assert (await at.api()).replicas == 2


async def test_a_rollout_ends_though_the_number_changes_all_the_time() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(3)
        await at.clock.advance(2)
        await at.deploy(env={"A": "b"})
        for second in range(20):
            at.see(3 + second % 2)
            await at.clock.advance(1)
        api = await at.api()
        assert (api.outcome, api.target.revision) == (Outcome.DONE, 2)


class Overtaken(MemoryStore):
    """A user scales just before a verdict is written."""

    times = 0

    async def finish(self, api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
        if self.times < 3:
            self.times += 1
            await self.scale(api, api.replicas)
        return await super().finish(api, outcome, message, at)


async def test_a_verdict_that_was_overtaken_is_written_at_once() -> None:
    store = Overtaken()
    async with stage(store) as at:
        await at.deploy()
        for _ in range(5):
            await at.clock.settle()  # no time passes
        assert store.times == 3
        assert (await at.api()).outcome is Outcome.DONE


async def test_one_apis_failure_harms_no_other_and_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    async with stage() as at:
        at.kinds = [Faulty]
        await at.deploy(name="faulty")
        await at.clock.advance(1)
        await at.deploy()
        at.see(1, "faulty")
        at.see(4)
        with caplog.at_level(logging.ERROR):
            await at.clock.advance(5)
        assert (await at.api()).replicas == 4
        reported = [record.message for record in caplog.records if "faulty" in record.message]
        assert reported == ["cannot decide the number of replicas of faulty; it stays unchanged"]


class Flickering(MemoryStore):
    broken = False

    async def apis(self) -> tuple[Api, ...]:
        self._require_whole()
        return await super().apis()

    async def api(self, name: str) -> Api | None:
        self._require_whole()
        return await super().api(name)

    async def scale(self, api: Api, replicas: int) -> Api:
        self._require_whole()
        return await super().scale(api, replicas)

    def _require_whole(self) -> None:
        if self.broken:
            raise StoreUnusable("the database is away")


async def test_a_store_that_was_away_is_asked_again() -> None:
    store = Flickering()
    async with stage(store) as at:
        await at.deploy()
        at.see(1)
        await at.clock.advance(2)
        store.broken = True
        at.see(5)
        at.board.intent_signals.notify("iris")
        await at.clock.advance(5)
        store.broken = False
        assert (await at.api()).replicas == 1
        await at.clock.advance(20)
        assert (await at.api()).replicas == 5


class CountingStore(MemoryStore):
    """Counts how often all records are read."""

    def __init__(self) -> None:
        super().__init__()
        self.lists = 0

    async def apis(self) -> tuple[Api, ...]:
        self.lists += 1
        return await super().apis()


async def test_records_are_not_read_again_while_nothing_changes() -> None:
    store = CountingStore()
    async with stage(store) as at:
        await at.deploy()
        at.see(2)
        await at.clock.advance(3)
        lists = store.lists
        at.see(4)
        await at.clock.advance(RELIST - 5)
        assert (await at.api()).replicas == 4
        assert store.lists == lists


async def test_a_shortage_is_reported_once_an_episode() -> None:
    async with stage() as at:
        await at.deploy()
        at.capacity = 2
        at.see(5)
        await at.clock.advance(30)
        reported = ["No capacity for more replicas: desired 5, set to 2: there is room for 2"]
        assert await at.events("NoCapacity") == reported
        at.see(1)
        await at.clock.advance(30)
        at.see(5)
        await at.clock.advance(30)
        assert await at.events("NoCapacity") == reported
        at.see(1)
        await at.clock.advance(100)
        at.see(5)
        await at.clock.advance(30)
        assert len(await at.events("NoCapacity")) == 2


async def test_a_clock_that_is_set_back_ends_what_the_policy_remembers() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(1)
        await at.clock.advance(3)
        before = at.policies[-1]
        at.clock._start -= timedelta(hours=1)  # pyright: ignore[reportPrivateUsage] (only this test sets it back)
        at.see(3)
        await at.clock.advance(3)
        after = at.policies[-1]
        assert after is not before
        assert after.samples == sorted(after.samples, key=lambda sample: sample.now)
        assert (await at.api()).replicas == 3


async def test_what_is_deleted_is_forgotten() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(1)
        await at.clock.advance(2)
        await at.store.mark_deleting("iris", at.clock.now())
        at.board.intent_signals.notify("iris")
        await at.clock.advance(2)
        assert not at.board.scaling
        assert not at.board.decisions
        assert not at.board.asked
        assert not at.board.starts


async def test_scaling_down_stops_only_what_no_request_can_reach() -> None:
    async with stage() as at:
        await at.deploy()
        at.see(3)
        await at.clock.advance(2)
        everything = at.board.reachable_of("iris")
        at.see(1)
        listener_reported = replace(at.board.routes["iris"])
        await at.clock.advance(2)
        assert len(listener_reported.endpoints) == 3
        assert len(everything - at.board.reachable_of("iris")) == 2
        assert at.phases() == [Phase.READY]
