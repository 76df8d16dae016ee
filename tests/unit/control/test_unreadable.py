"""One API whose stored specification cannot be read fails alone, and what runs of it goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.aio.clock import SystemClock
from gyrus.backends.memory import MemoryBackend
from gyrus.contract.operator import ApiView, Outcome, Status
from gyrus.contract.replica import Phase
from gyrus.control import unreadable
from gyrus.control.controller import Controller
from gyrus.control.planners import planner_for
from gyrus.control.reconciler import Reconciler
from gyrus.control.situation import Situation
from gyrus.spec.stored import UnreadableSpec
from gyrus.state import status
from gyrus.state.board import Board, Replica
from gyrus.state.errors import Conflict
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.records import Api
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import SqlStore, open_store
from gyrus.state.status import ApiObservation
from strategies.specs import json_values
from support.broken_specs import break_spec
from support.gateway import acknowledge
from support.recorder import recording
from support.world import NOW, api, replica, spec

CLOCK = SystemClock()
ACTIVATOR = "unix:/run/activator.sock"
BROKEN = UnreadableSpec(
    reason="warp: unknown field; deploy the API again",
    endpoint_path="/models/iris",
    document={"timeout": "5s", "idempotent": True, "process": {"protocol": "http1"}},
)


def situation(
    *replicas: Replica, of: Api | None = None, broken: UnreadableSpec = BROKEN
) -> Situation[UnreadableSpec]:
    return Situation(
        api=of or api(live=1, outcome=Outcome.DONE, replicas=3),
        target_spec=broken,
        live_spec=None,
        fault="Revision 1 cannot be read: warp: unknown field.",
        replicas=replicas,
        retiring=frozenset(),
        acknowledged={},
        reachable=frozenset(),
        activator=ACTIVATOR,
    )


class TestPlan:
    def test_nothing_is_started_and_nothing_stopped(self) -> None:
        for replicas in ((), (replica("r1"),), tuple(replica(f"r{n}") for n in range(9))):
            step = planner_for(situation(*replicas)).plan(situation(*replicas), NOW)
            assert (step.start, step.revive, step.stop, step.retiring) == (0, 0, (), frozenset())
            assert step.verdict is None

    def test_a_replica_of_another_generation_goes_on_too(self) -> None:
        assert unreadable.plan(situation(replica("old", 7), replica("new")), NOW).retiring == frozenset()

    def test_a_rollout_under_way_has_failed(self) -> None:
        verdict = unreadable.plan(situation(of=api(target=2, live=1)), NOW).verdict
        assert verdict
        assert verdict.outcome is Outcome.FAILED
        assert verdict.message == "Revision 1 cannot be read: warp: unknown field."

    def test_it_can_be_deleted(self) -> None:
        gone = api(live=1, outcome=Outcome.DONE, deleting=True)
        step = unreadable.plan(situation(replica("r1"), of=gone), NOW)
        assert (step.route, step.retiring) == (None, {"r1"})


class TestRoute:
    def test_requests_go_on_by_what_is_understood(self) -> None:
        route = unreadable.route(situation(replica("r1"), replica("r2", phase=Phase.STARTING)), frozenset())
        assert route.path == "/models/iris"
        assert route.endpoints == {"unix:/run/r1.0.sock"}
        assert (route.timeout, route.idempotent, route.pools[0].protocol) == (5.0, True, "http1")
        assert route.queueing
        assert not route.queueing.unavailable_reason

    def test_without_a_replica_they_are_refused_with_the_reason(self) -> None:
        route = unreadable.route(situation(), frozenset())
        assert route.endpoints == {ACTIVATOR}
        assert route.queueing
        assert route.queueing.unavailable_reason.startswith("Revision 1 cannot be read: warp")

    def test_an_empty_document_has_the_defaults(self) -> None:
        nothing = UnreadableSpec(reason="no JSON", endpoint_path="/iris", document={})
        route = unreadable.route(situation(replica("r1"), broken=nothing), frozenset())
        assert (route.timeout, route.idempotent, route.pools[0].protocol) == (60.0, False, "http1")

    def test_what_todays_rules_refuse_goes_on(self) -> None:
        old = UnreadableSpec(reason="no", endpoint_path="/healthz", document={"timeout": "100h"})
        route = unreadable.route(situation(replica("r1"), broken=old), frozenset())
        assert (route.path, route.timeout) == ("/healthz", 360_000.0)

    @given(document=st.dictionaries(st.sampled_from(["timeout", "idempotent", "process"]), json_values))
    def test_any_document_gives_a_route(self, document: dict[str, Any]) -> None:
        broken = UnreadableSpec(reason="no", endpoint_path="/iris", document=document)
        route = unreadable.route(situation(replica("r1"), broken=broken), frozenset())
        assert route.endpoints == {"unix:/run/r1.0.sock"}
        assert route.timeout > 0

    def test_http2_stays_http2(self) -> None:
        grpc = UnreadableSpec(
            reason="no", endpoint_path="/iris", document={"process": {"protocol": "http2"}, "timeout": 3}
        )
        route = unreadable.route(situation(broken=grpc), frozenset())
        assert (route.pools[0].protocol, route.endpoints, route.queueing) == ("http2", frozenset(), None)


@dataclass
class Platform:
    """Control over a database on disk, of which it can be stopped and started again."""

    file: Path
    backend: MemoryBackend
    store: SqlStore
    board: Board

    async def deploy(self, name: str, **changes: object) -> None:
        await self.store.deploy([spec(name=name, **changes)], None, CLOCK.now())
        self.board.intent_signals.notify(name)

    async def until(self, name: str, condition: Callable[[ApiView | None], bool]) -> ApiView | None:
        async with asyncio.timeout(10):
            with self.board.replica_signals.listen() as listener:
                while not condition(view := await self.view(name)):
                    await listener.wait()
                return view

    async def view(self, name: str) -> ApiView | None:
        found = await self.store.api(name)
        if found is None:
            return None
        wanted = await self.store.revision(name, found.target.revision)
        if wanted is None:  # deleted since it was read
            return None
        return status.view(found, wanted, ApiObservation.on(self.board, name), "http://gateway")

    def running(self, name: str) -> set[str]:
        return set(self.backend.observe(name))


@asynccontextmanager
async def platform(file: Path, backend: MemoryBackend) -> AsyncGenerator[Platform]:
    board = Board()
    async with open_store(sqlite_url(file)) as store, recording(store, board) as events:
        await backend.adopt()
        controller = Controller(Reconciler(store, board, backend, CLOCK, events))
        await controller.restore()
        async with asyncio.TaskGroup() as group:
            bodies = (backend.run(), acknowledge(board), controller.run())
            tasks = [group.create_task(body) for body in bodies]
            await asyncio.sleep(0)  # the gateway listens before the first route is published
            board.route_signals.notify(*board.routes)
            yield Platform(file, backend, store, board)
            for task in tasks:
                task.cancel()


def live(view: ApiView | None) -> bool:
    return view is not None and view.status is Status.LIVE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
async def backend(file: Path) -> MemoryBackend:
    """What runs of ``broken`` and ``sound`` without an operator, after one was broken in the database."""
    backend = MemoryBackend()
    async with platform(file, backend) as at:
        for name in ("broken", "sound"):
            await at.deploy(name, autoscaling={"min_replicas": 2})
            await at.until(name, live)
    break_spec(file, "broken")
    return backend


async def test_the_others_work_and_what_runs_goes_on(file: Path, backend: MemoryBackend) -> None:
    before = set(backend.observe("broken"))
    async with platform(file, backend) as at:
        assert len(at.board.routes["broken"].endpoints) == 2
        assert at.board.routes["broken"].path == "/broken"
        view = await at.until("broken", lambda view: view is not None and view.status is Status.FAILED)
        assert view
        assert view.message == (
            "Revision 1 cannot be read: warp: unknown field; deploy the API again, or run the version "
            "of gyrus that wrote it. Its 2 replicas go on serving."
        )
        assert view.endpoint == "http://gateway/broken"
        await at.deploy("sound", env={"A": "b"})
        await at.until("sound", lambda view: live(view) and view is not None and view.revision == 2)
        assert at.running("broken") == before


async def test_a_deploy_makes_it_live_again(file: Path, backend: MemoryBackend) -> None:
    async with platform(file, backend) as at:
        await at.deploy("broken", env={"A": "b"})
        view = await at.until("broken", live)
        assert view
        assert (view.revision, view.message) == (2, "")
        await at.deploy("broken", env={"A": "c"})
        await at.until("broken", lambda view: live(view) and view is not None and view.revision == 3)
        await at.store.rollback("broken", 2, CLOCK.now())
        with pytest.raises(Conflict, match="Revision 1 cannot be read"):
            await at.store.rollback("broken", 1, CLOCK.now())


async def test_its_path_holds_until_the_next_rollout_is_done(file: Path, backend: MemoryBackend) -> None:
    async with open_store(sqlite_url(file)) as store:
        moved = spec(name="broken", networking={"endpoint": "elsewhere"})
        await store.deploy([moved], None, CLOCK.now())
        board = Board()
        reconciler = Reconciler(store, board, backend, CLOCK, EventRecorder(store, board, CLOCK))
        await reconciler.restore()
        assert reconciler.board.routes["broken"].path == "/broken"
        assert len(reconciler.board.routes["broken"].endpoints) == 2
    async with platform(file, backend) as at:
        await at.until("broken", live)
        assert at.board.routes["broken"].path == "/elsewhere"


async def test_it_can_be_deleted(file: Path, backend: MemoryBackend) -> None:
    async with platform(file, backend) as at:
        await at.store.mark_deleting("broken", CLOCK.now())
        at.board.intent_signals.notify("broken")
        await at.until("broken", lambda view: view is None)
        assert not at.running("broken")
        assert live(await at.view("sound"))


async def test_an_update_that_cannot_be_read_falls_back(file: Path) -> None:
    backend = MemoryBackend()
    async with platform(file, backend) as at:
        await at.deploy("iris")
        await at.until("iris", live)
        await at.store.deploy([spec(name="iris", env={"A": "b"})], None, CLOCK.now())
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE revisions SET spec_version = 99 WHERE number = 2")
        connection.close()
        at.board.intent_signals.notify("iris")
        view = await at.until("iris", live)
        assert view
        assert view.revision == 1
        assert view.message.startswith("Revision 2 cannot be read: a gyrus wrote it in version 99")
        assert view.message.endswith("Revision 1 goes on serving.")
