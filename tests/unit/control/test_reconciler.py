"""Control over the real store, with replicas in memory and a gateway that acknowledges on request."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.backends.memory import MemoryBackend, fails, works
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.operator import ForkServerView, Outcome
from gyrus.contract.replica import Phase, Reason
from gyrus.control import plan, planners
from gyrus.control.controller import Controller
from gyrus.control.plan import Plan
from gyrus.control.reconciler import Reconciler
from gyrus.control.situation import Situation
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.workload import DRAIN_ALLOWANCE
from gyrus.state.board import Board, Replica, Route, RouteRefusal
from gyrus.state.errors import StorageFull
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api, Event
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import open_store
from gyrus.state.store import Store
from support.backends import all_of
from support.gateway import acknowledge
from support.looking import until as looked
from support.recorder import recording
from support.world import spec

CLOCK = SystemClock()


@dataclass
class Bench:
    """A whole control plane without processes."""

    store: Store
    board: Board
    backend: MemoryBackend
    events: EventRecorder

    async def deploy(self, **changes: object) -> None:
        await self.store.deploy([spec(**changes)], None, CLOCK.now())
        self.board.intent_signals.notify("iris")

    async def until(self, condition: Callable[[Api | None], bool]) -> Api | None:
        """The API as soon as the condition holds for it."""
        async with asyncio.timeout(10):
            with self.board.replica_signals.listen() as listener:
                while not condition(api := await self.store.api("iris")):
                    await listener.wait()
                return api

    async def reasons(self) -> list[str]:
        """Of the stored events, each as often as it has happened."""
        return [e.reason for e in await self.store.events("iris") for _ in range(e.count)]

    async def reported(self, last: str) -> list[str]:
        """The reasons of all events, as soon as ``last`` is one of them."""
        async with asyncio.timeout(10):
            with self.board.event_signals.listen() as listener:
                while last not in (reasons := await self.reasons()):
                    await listener.wait()
                return reasons


@asynccontextmanager
async def bench(folder: Path, backend: MemoryBackend | None = None) -> AsyncGenerator[Bench]:
    async with (
        open_store(sqlite_url(folder / "state.db")) as store,
        controlled(store, backend or MemoryBackend()) as at,
    ):
        yield at


@asynccontextmanager
async def controlled(store: Store, backend: MemoryBackend) -> AsyncGenerator[Bench]:
    board = Board()
    await backend.adopt()
    async with recording(store, board) as events, asyncio.TaskGroup() as group:
        controller = Controller(Reconciler(store, board, backend, CLOCK, events))
        await controller.restore()
        bodies = (backend.run(), acknowledge(board), controller.run())
        tasks = [group.create_task(body) for body in bodies]
        await asyncio.sleep(0)  # the gateway listens before the first route is published
        yield Bench(store, board, backend, events)
        for task in tasks:
            task.cancel()


def ended(api: Api | None) -> bool:
    return api is not None and api.outcome is not Outcome.PROGRESSING


async def test_a_deploy_comes_live_and_its_events_are_recorded(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        api = await at.until(ended)
        assert api
        assert api.outcome is Outcome.DONE
        assert api.live == api.target
        [replica] = at.board.replicas["iris"]
        assert at.board.routes["iris"].endpoints == frozenset(replica.status.endpoints)
        assert await at.reported("RolloutDone") == ["ReplicaStarted", "ReplicaReady", "RolloutDone"]


async def test_a_broken_update_falls_back_and_reports_why(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        serving = at.board.routes["iris"].endpoints
        at.backend.script = fails(Reason.IMPORT, "No module named 'torhc'", "Traceback …")
        await at.deploy(env={"A": "b"})
        api = await at.until(lambda api: api is not None and api.outcome is Outcome.FAILED)
        assert api
        assert api.message == (
            "Revision 2 did not become ready (ImportError): No module named 'torhc'.\nTraceback …"
        )
        assert api.target == api.live
        assert at.board.routes["iris"].endpoints == serving
        await at.until(lambda _: len(at.board.replicas["iris"]) == 1)
        at.backend.script = works
        await at.deploy(env={"A": "b"})
        again = await at.until(lambda api: api is not None and api.outcome is Outcome.DONE)
        assert again
        assert again.target.revision == 2


async def test_what_the_gateway_refuses_of_the_target_fails_its_rollout_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        refusal = RouteRefusal(message="Envoy refuses the routes of iris: no", pools=frozenset({"iris/2"}))
        at.board.refused["iris"] = refusal
        await at.deploy()
        first = await at.until(ended)
        assert first
        assert first.outcome is Outcome.DONE
        await at.deploy(env={"A": "b"})
        second = await at.until(lambda api: api is not None and api.outcome is Outcome.FAILED)
        assert second
        assert second.message == f"Revision 2 was refused by the gateway: {refusal.message}."
        assert second.target == second.live


async def test_a_deleted_api_leaves_nothing(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        await at.store.mark_deleting("iris", CLOCK.now())
        at.board.intent_signals.notify("iris")
        await at.until(lambda api: api is None)
        assert not all_of(at.backend)
        assert not at.board.routes


async def test_what_is_live_is_expected_until_it_is_deleted(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await looked(lambda: "iris" in at.backend.expected)
        assert at.backend.expected["iris"].revision == 1
        await at.deploy(env={"A": "b"})
        await looked(lambda: at.backend.expected["iris"].revision == 2)
        await at.store.mark_deleting("iris", CLOCK.now())
        at.board.intent_signals.notify("iris")
        await at.until(lambda api: api is None)
        assert not at.backend.expected


async def test_an_impossible_fork_server_is_reported_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        impossible = ForkServerView(
            phase=ForkServerPhase.IMPOSSIBLE, because="importing handler.py started 1 thread: a"
        )
        at.backend.views["iris"] = impossible
        for _ in range(2):
            at.backend.changes.notify("iris")
            assert (await at.reported("ColdStarts")).count("ColdStarts") == 1
        assert at.board.fork_servers["iris"] == impossible
        (event,) = [e for e in await at.store.events("iris") if e.reason == "ColdStarts"]
        assert event.message == "Replicas start cold: importing handler.py started 1 thread: a"
        assert event.type == "warning"


async def test_a_replica_that_dies_leaves_the_route_and_comes_back(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        [replica] = at.board.replicas["iris"]
        at.backend.held.add(replica.id)
        at.backend.kill(replica.id)
        await at.until(lambda _: at.board.replicas["iris"][0].status.phase is Phase.BACKOFF)
        assert not at.board.routes["iris"].endpoints
        at.backend.release(replica.id)
        await at.until(lambda _: at.board.replicas["iris"][0].status.phase is Phase.READY)
        assert at.board.routes["iris"].endpoints
        assert "Killed" in await at.reported("ReplicaRestarted")


async def test_the_next_operator_restores_routes_before_it_acts(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        routes = dict(at.board.routes)
        replicas = at.board.replicas
        backend = at.backend
    async with open_store(sqlite_url(tmp_path / "state.db")) as store:
        board = Board()
        await Controller(
            Reconciler(store, board, backend, CLOCK, EventRecorder(store, board, CLOCK))
        ).restore()
        assert board.routes == routes
        assert board.replicas == replicas


class Graceful(MemoryBackend):
    """Remembers how long each revision may drain."""

    def __init__(self) -> None:
        super().__init__()
        self.graces: dict[int, float] = {}

    async def stop(self, replica: str, *, grace: float) -> None:
        self.graces[all_of(self)[replica].status.revision] = grace
        await super().stop(replica, grace=grace)


async def test_each_replica_drains_for_the_timeout_of_its_own_revision() -> None:
    backend = Graceful()
    async with controlled(MemoryStore(), backend) as at:
        await at.deploy(timeout="10m")
        await at.until(ended)
        await at.deploy(timeout="1s")
        await looked(lambda: 1 in backend.graces)
        assert backend.graces == {1: 600 + DRAIN_ALLOWANCE}


async def test_unwanted_replicas_are_ended(tmp_path: Path) -> None:
    async with bench(tmp_path) as at:
        await at.deploy()
        await at.until(ended)
        backend = at.backend
    (tmp_path / "state.db").unlink()
    async with bench(tmp_path, backend) as at:
        async with asyncio.timeout(10):
            with backend.changes.listen() as listener:
                while all_of(backend):
                    await listener.wait()


class FullForEvents(MemoryStore):
    async def record(self, *events: Event) -> tuple[Event, ...]:
        raise StorageFull("the disk is full")


async def test_a_full_disk_does_not_make_control_blind() -> None:
    async with controlled(FullForEvents(), MemoryBackend()) as at:
        await at.deploy()
        await at.until(ended)
        [replica] = at.board.replicas["iris"]
        at.backend.held.add(replica.id)
        at.backend.kill(replica.id)
        await at.until(lambda _: at.board.replicas["iris"][0].status.phase is Phase.BACKOFF)
        assert not at.board.routes["iris"].endpoints


class FullForReplicas(MemoryBackend):
    full = False

    async def start(self, order: ReplicaOrder) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        await super().start(order)


async def test_a_replica_that_cannot_be_started_does_not_make_control_blind() -> None:
    backend = FullForReplicas()
    async with controlled(MemoryStore(), backend) as at:
        await at.deploy()
        await at.until(ended)
        backend.full = True
        await at.deploy(env={"A": "b"})
        [replica] = at.board.replicas["iris"]
        backend.held.add(replica.id)
        backend.kill(replica.id)
        await at.until(lambda _: at.board.replicas["iris"][0].status.phase is Phase.BACKOFF)
        assert not at.board.routes["iris"].endpoints
        assert "Killed" in await at.reported("Killed")


class Planning:
    """A planner that notes the replicas on the board when it is asked."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.saw: list[tuple[Replica, ...]] = []
        self.was_given: list[tuple[Replica, ...]] = []

    def plan(self, situation: Situation[Any], now: datetime) -> Plan:
        self.saw.append(self.board.replicas.get(situation.api.name, ()))
        self.was_given.append(situation.replicas)
        return plan.plan(situation, now)

    def route(self, situation: Situation[Any], retiring: frozenset[str]) -> Route | None:
        return plan.route(situation, retiring)


async def test_what_was_observed_is_reported_before_it_is_planned_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with controlled(MemoryStore(), MemoryBackend()) as at:
        planning = Planning(at.board)
        monkeypatch.setitem(planners.PLANNERS, RealtimeSpec, planning)
        await at.deploy()
        await at.until(ended)
        assert planning.saw == planning.was_given
        assert any(planning.saw)


async def test_an_update_on_a_full_machine_goes_through_and_reports_how(tmp_path: Path) -> None:
    async with bench(tmp_path, MemoryBackend(cores=0.4)) as at:
        await at.deploy(autoscaling={"min_replicas": 2})
        await at.until(lambda api: api is not None and api.outcome is Outcome.DONE)
        await at.deploy(autoscaling={"min_replicas": 2}, env={"KEY": "other"})
        await at.until(lambda api: api is not None and api.live is not None and api.live.number == 2)
        await at.events.flushed()
        reasons = await at.reasons()
        assert reasons.count("MadeRoom") == 2
        assert Reason.CAPACITY in reasons
        assert {seen.generation for seen in all_of(at.backend).values()} == {2}
