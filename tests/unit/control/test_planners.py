"""Each kind has its own planner, and a kind is used from the YAML to the removal without any other change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.aio.virtual import VirtualClock
from gyrus.autoscaling.default import DefaultPolicy
from gyrus.backends.memory import MemoryBackend, Script, Step, works
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.operator import ApiView, Outcome, Status
from gyrus.contract.replica import Phase
from gyrus.control.autoscaler import Autoscaler
from gyrus.control.controller import Controller
from gyrus.control.planners import PLANNERS
from gyrus.control.reconciler import Reconciler
from gyrus.control.route import route
from gyrus.control.situation import Situation
from gyrus.spec.kinds import KINDS
from gyrus.spec.load import loads
from gyrus.state import status
from gyrus.state.board import Board, Traffic
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api
from gyrus.state.status import ApiObservation
from support.backends import all_of
from support.gateway import acknowledge
from support.kinds import ChatSpec, EchoSpec, OnceSpec, add_kinds
from support.world import api as record
from support.world import replica, spec

CLOCK = SystemClock()


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    add_kinds(monkeypatch)


def ends(phase: Phase, code: int) -> Script:
    """Every replica runs, and ends by itself."""
    end = Step(phase=phase, exit_code=code, message=f"exited with code {code}")
    return lambda order: (Step(phase=Phase.STARTING), Step(phase=Phase.READY), end)


@dataclass
class Platform:
    """Control, the autoscaler and a gateway in virtual time, with replicas in memory."""

    script: Script = works
    ordered: list[ReplicaOrder] = field(default_factory=list[ReplicaOrder])
    """All orders, in their order."""
    clock: VirtualClock = field(default_factory=VirtualClock)
    store: MemoryStore = field(default_factory=MemoryStore)
    board: Board = field(default_factory=Board)
    backend: MemoryBackend = field(init=False)
    recorder: EventRecorder = field(init=False)

    def __post_init__(self) -> None:
        self.backend = MemoryBackend(self.follow, clock=self.clock)
        self.recorder = EventRecorder(self.store, self.board, self.clock, every=0)

    def follow(self, order: ReplicaOrder) -> tuple[Step, ...]:
        self.ordered.append(order)
        return tuple(self.script(order))

    async def deploy(self, yaml: str) -> None:
        for each in loads(yaml, "gyrus.yaml"):
            await self.store.deploy([each], None, self.clock.now())
            self.board.intent_signals.notify(each.name)
        await self.clock.settle()

    async def delete(self, name: str) -> None:
        await self.store.mark_deleting(name, self.clock.now())
        self.board.intent_signals.notify(name)
        await self.clock.settle()

    async def api(self, name: str) -> Api:
        api = await self.store.api(name)
        assert api
        return api

    async def view(self, name: str) -> ApiView:
        api = await self.api(name)
        revision = await self.store.revision(name, api.target.revision)
        assert revision
        return status.view(api, revision, ApiObservation.on(self.board, name), "http://gateway")

    async def reasons(self, name: str) -> list[str]:
        await self.recorder.flushed()
        return [event.reason for event in await self.store.events(name)]

    def programs(self, name: str) -> list[str]:
        """The last words of the commands of its replicas that are ready."""
        ready = {r.id for r in self.board.replicas[name] if r.status.phase is Phase.READY}
        processes = (order.workload.code.process for order in self.ordered if order.id in ready)
        return sorted(process.command[-1] for process in processes if process)


@asynccontextmanager
async def platform(script: Script = works) -> AsyncGenerator[Platform]:
    at = Platform(script)
    reconciler = Reconciler(at.store, at.board, at.backend, at.clock, at.recorder)
    scaler = Autoscaler(at.store, at.board, at.clock, at.recorder, DefaultPolicy, at.backend)
    async with asyncio.TaskGroup() as group:
        control = (Controller(reconciler).run(), scaler.run())
        bodies = (at.recorder.run(), at.backend.run(), acknowledge(at.board), *control)
        tasks = [group.create_task(body) for body in bodies]
        await at.clock.settle()
        yield at
        for task in tasks:
            task.cancel()


class TestWithoutReplicas:
    async def test_it_is_deployed_and_deleted(self) -> None:
        store, board, backend = MemoryStore(), Board(), MemoryBackend()
        reconciler = Reconciler(store, board, backend, CLOCK, EventRecorder(store, board, CLOCK))
        (change,) = await store.deploy([EchoSpec(name="echo")], None, CLOCK.now())
        assert (change.api.kind, change.api.replicas) == ("EchoAPI", 0)
        await reconciler.restore()
        assert board.routes["echo"].path == "/echo"
        await reconciler.reconcile("echo")
        api = await store.api("echo")
        assert api
        assert (api.outcome, api.live) == (Outcome.DONE, api.target)
        await store.mark_deleting("echo", CLOCK.now())
        await reconciler.reconcile("echo")
        assert await store.api("echo") is None
        assert (board.routes, all_of(backend), backend.expected) == ({}, {}, {})

    async def test_it_may_become_an_api_of_another_kind(self) -> None:
        store, board, backend = MemoryStore(), Board(), MemoryBackend()
        reconciler = Reconciler(store, board, backend, CLOCK, EventRecorder(store, board, CLOCK))
        await store.deploy([EchoSpec(name="iris")], None, CLOCK.now())
        await reconciler.reconcile("iris")
        (change,) = await store.deploy([spec()], None, CLOCK.now())
        assert (change.api.kind, change.api.replicas) == ("RealtimeAPI", 1)
        await reconciler.reconcile("iris")
        assert [seen.status.api for seen in all_of(backend).values()] == ["iris"]

    async def test_it_is_not_scaled_and_not_idle(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: echo, kind: EchoAPI}")
            await at.clock.advance(5)
            assert at.board.scaling == {}
            assert (await at.view("echo")).status is Status.LIVE
            assert (await at.view("echo")).message == ""


class TestWithReplicas:
    async def test_their_number_is_fixed_if_nothing_scales_them(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: a, kind: ChatAPI, model: small}")
            assert at.programs("a") == ["small"] * 2
            assert len(at.board.routes["a"].replicas) == 2
            at.board.traffic = {"a": Traffic(in_flight=50)}
            await at.clock.advance(60)
            assert at.programs("a") == ["small"] * 2
            assert at.board.scaling == {}
            assert (await at.view("a")).status is Status.LIVE

    async def test_their_number_is_scaled_if_it_has_settings(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: a, kind: ChatAPI, model: small, autoscaling: {max_replicas: 5}}")
            assert at.programs("a") == ["small"]
            at.board.traffic = {"a": Traffic(in_flight=50)}
            await at.clock.advance(120)
            assert at.programs("a") == ["small"] * 5
            assert at.board.scaling["a"].rule == "max_replicas"

    async def test_an_update_replaces_them(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: a, kind: ChatAPI, model: small}")
            await at.deploy("- {name: a, kind: ChatAPI, model: large, replicas: 3}")
            assert at.programs("a") == ["large"] * 3
            api = await at.api("a")
            assert (api.outcome, api.live, api.replicas) == (Outcome.DONE, api.target, 3)
            assert {seen.status.revision for seen in all_of(at.backend).values()} == {2}

    async def test_a_deletion_ends_them(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: a, kind: ChatAPI, model: small}")
            await at.delete("a")
            assert await at.store.api("a") is None
            assert (at.board.routes, at.board.replicas, all_of(at.backend)) == ({}, {}, {})

    async def test_another_kind_takes_over_as_any_revision_does(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: a, handler: {path: h.py}}")
            await at.deploy("- {name: a, kind: ChatAPI, model: small}")
            assert at.programs("a") == ["small"] * 2
            assert at.board.routes["a"].path == "/chat/a"

    def test_the_live_kind_routes_requests_until_another_one_is_live(self) -> None:
        before = spec(timeout="5s", max_concurrency=7, process={"command": ["serve"]}, handler=None)
        situation = Situation(
            api=record(target=2, live=1),
            target_spec=ChatSpec(name="iris", model="small"),
            live_spec=before,
            replicas=(replica("old", 1), replica("new", 2)),
            retiring=frozenset(),
            acknowledged={},
            reachable=frozenset(),
        )
        made = route(situation, frozenset())
        assert (made.path, made.timeout) == ("/iris", 5.0)
        queueing = {pool.generation: pool.queueing for pool in made.pools}
        assert {number: each and each.slots for number, each in queueing.items()} == {2: 1, 1: 7}


class TestThatEnd:
    async def test_it_runs_once_and_is_done(self) -> None:
        async with platform(ends(Phase.SUCCEEDED, 0)) as at:
            await at.deploy("- {name: train, kind: OnceAPI, program: train}")
            await at.clock.advance(60)
            api = await at.api("train")
            assert (api.outcome, api.live) == (Outcome.DONE, api.target)
            assert [order.workload.code.process for order in at.ordered] == [
                OnceSpec(name="train", program="train").workload(None).code.process
            ]
            assert (all_of(at.backend), at.board.routes, at.board.scaling) == ({}, {}, {})
            assert "ReplicaSucceeded" in await at.reasons("train")
            assert (await at.view("train")).status is Status.LIVE

    async def test_it_fails_with_its_reason_and_does_not_run_again(self) -> None:
        async with platform(ends(Phase.FAILED, 3)) as at:
            await at.deploy("- {name: train, kind: OnceAPI, program: train}")
            await at.clock.advance(60)
            assert len(at.ordered) == 1
            shown = await at.view("train")
            assert (shown.status, shown.message) == (Status.FAILED, "It failed: exited with code 3.")

    async def test_a_kill_is_not_followed_by_a_second_run(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: train, kind: OnceAPI, program: train}")
            (running,) = at.board.replicas["train"]
            at.backend.kill(running.id)
            await at.clock.advance(60)
            assert len(at.ordered) == 1
            assert (await at.api("train")).outcome is Outcome.FAILED

    async def test_a_deletion_ends_it(self) -> None:
        async with platform() as at:
            await at.deploy("- {name: train, kind: OnceAPI, program: train}")
            await at.delete("train")
            assert await at.store.api("train") is None
            assert not all_of(at.backend)


def test_every_kind_has_a_planner() -> None:
    assert set(KINDS.values()) <= PLANNERS.keys()
