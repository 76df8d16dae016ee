"""Each kind has its own planner; a kind without replicas needs no more than that."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.autoscaling.default import DefaultPolicy
from gyrus.backends.memory import MemoryBackend
from gyrus.contract.operator import Outcome
from gyrus.control.autoscaler import Autoscaler
from gyrus.control.plan import Plan
from gyrus.control.planners import PLANNERS
from gyrus.control.reconciler import Reconciler
from gyrus.control.situation import Situation
from gyrus.control.verdict import Verdict
from gyrus.spec.api import ApiSpec
from gyrus.spec.kinds import KINDS
from gyrus.state.board import Board, Route
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.memory import MemoryStore
from support.backends import all_of
from support.routes import route_to
from support.world import spec

CLOCK = SystemClock()


class EchoSpec(ApiSpec):
    """An API that runs nothing: the gateway has its whole answer."""

    kind: Literal["EchoAPI"] = "EchoAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """What kind of API it is."""

    @property
    def endpoint_path(self) -> str:
        return f"/{self.name}"


class EchoPlanner:
    def plan(self, situation: Situation[EchoSpec], now: datetime) -> Plan:
        if situation.api.deleting:
            return Plan(forget=True)
        return Plan(route=self.route(situation, frozenset()), verdict=Verdict(Outcome.DONE))

    def route(self, situation: Situation[EchoSpec], retiring: frozenset[str]) -> Route:
        path = situation.target_spec.endpoint_path
        return route_to(situation.api.name, path=path, timeout=1.0)


@pytest.fixture(autouse=True)
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "EchoAPI", EchoSpec)
    monkeypatch.setitem(PLANNERS, EchoSpec, EchoPlanner())


async def test_an_api_of_another_kind_is_deployed_and_deleted() -> None:
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


async def test_an_api_may_become_one_of_another_kind() -> None:
    store, board, backend = MemoryStore(), Board(), MemoryBackend()
    reconciler = Reconciler(store, board, backend, CLOCK, EventRecorder(store, board, CLOCK))
    await store.deploy([EchoSpec(name="iris")], None, CLOCK.now())
    await reconciler.reconcile("iris")
    (change,) = await store.deploy([spec()], None, CLOCK.now())
    assert (change.api.kind, change.api.replicas) == ("RealtimeAPI", 1)
    await reconciler.reconcile("iris")
    assert [seen.status.api for seen in all_of(backend).values()] == ["iris"]


async def test_what_has_no_replicas_is_not_scaled() -> None:
    store, board = MemoryStore(), Board()
    (change,) = await store.deploy([EchoSpec(name="echo")], None, CLOCK.now())
    autoscaler = Autoscaler(
        store, board, CLOCK, EventRecorder(store, board, CLOCK), DefaultPolicy, lambda api, compute: None
    )
    assert await autoscaler._scale_one(change.api)  # pyright: ignore[reportPrivateUsage] -- one step of its loop
    assert await store.api("echo") == change.api
    assert board.scaling == {}


def test_every_kind_has_a_planner() -> None:
    assert set(KINDS.values()) <= PLANNERS.keys()
