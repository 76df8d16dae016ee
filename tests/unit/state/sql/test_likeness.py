"""Whatever is done to it, the store over SQL is like the one in memory."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gyrus.contract.operator import Outcome
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.errors import StateError
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api, Event, Package
from gyrus.state.sql.dialects import sqlite_url
from gyrus.state.sql.store import SqlStore, open_store
from gyrus.state.store import Store
from support.examples import examples

START = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = ("a", "b")

names = st.sampled_from(NAMES)
packages = st.sampled_from(["p", "q"])


def _spec(name: str, variant: str, endpoint: str | None, lowest: int) -> RealtimeSpec:
    return RealtimeSpec.model_validate(
        {
            "name": name,
            "handler": {"path": f"{variant}.py"},
            "networking": {"endpoint": endpoint},
            "autoscaling": {"min_replicas": lowest, "max_replicas": 3},
        }
    )


specs = st.builds(
    _spec, names, st.sampled_from(["x", "y"]), st.sampled_from([None, None, "shared"]), st.integers(0, 2)
)


class Likeness(RuleBasedStateMachine):
    """Does the same to both."""

    template: Path
    """An empty database; making one takes longer than copying it."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        file = Path(self.folder.name) / "state.db"
        shutil.copy(self.template, file)
        self.opened = AsyncExitStack()
        self.sql: SqlStore = self.runner.run(self.opened.enter_async_context(open_store(sqlite_url(file))))
        self.memory = MemoryStore()
        self.elapsed = 0
        self.read: list[Api] = []
        self.seen: list[Event] = []

    def teardown(self) -> None:
        self.runner.run(self.opened.aclose())
        self.runner.close()
        self.folder.cleanup()

    def both(self, act: Callable[[Store], Awaitable[object]]) -> None:
        """What it returns, or raises, must be the same."""

        async def reported(store: Store) -> object:
            try:
                return await act(store)
            except StateError as error:
                return type(error), str(error)

        expected = self.runner.run(reported(self.memory))
        assert self.runner.run(reported(self.sql)) == expected
        if isinstance(expected, Api):
            self.read = [*self.read, expected][-5:]

    @property
    def now(self) -> datetime:
        self.elapsed += 1
        return START + timedelta(seconds=self.elapsed)

    @rule(wanted=st.lists(specs, min_size=1, max_size=2), package=st.none() | packages)
    def deploy(self, wanted: list[RealtimeSpec], package: str | None) -> None:
        now = self.now
        self.both(lambda store: store.deploy(wanted, package, now))

    @rule(name=names, to=st.none() | st.integers(0, 4))
    def rollback(self, name: str, to: int | None) -> None:
        now = self.now
        self.both(lambda store: store.rollback(name, to, now))

    @rule(name=names)
    def refresh(self, name: str) -> None:
        now = self.now
        self.both(lambda store: store.refresh(name, now))

    @rule(name=names)
    def look(self, name: str) -> None:
        self.both(lambda store: store.api(name))

    @rule(which=st.integers(0, 4), outcome=st.sampled_from([Outcome.DONE, Outcome.FAILED]), message=st.text())
    def finish(self, which: int, outcome: Outcome, message: str) -> None:
        clean = message.replace("\0", "").encode("utf-8", "ignore").decode()
        now = self.now
        if which < len(self.read):
            api = self.read[which]
            self.both(lambda store: store.finish(api, outcome, clean, now))

    @rule(which=st.integers(0, 4), replicas=st.integers(0, 9))
    def scale(self, which: int, replicas: int) -> None:
        if which < len(self.read):
            api = self.read[which]
            self.both(lambda store: store.scale(api, replicas))

    @rule(name=names)
    def mark_deleting(self, name: str) -> None:
        now = self.now
        self.both(lambda store: store.mark_deleting(name, now))

    @rule(name=names)
    def remove(self, name: str) -> None:
        self.both(lambda store: store.remove(name))

    @rule(name=names, reasons=st.lists(st.sampled_from(["Deployed", "Deleted"]), max_size=3))
    def record(self, name: str, reasons: list[str]) -> None:
        now = self.now
        events = [Event(api=name, time=now, type="normal", reason=reason, message="") for reason in reasons]
        self.both(lambda store: store.record(*events))

    @rule(name=names, which=st.integers(0, 4), times=st.integers(1, 3))
    def repeat(self, name: str, which: int, times: int) -> None:
        """An event that is stored, or was."""
        now = self.now
        seen = self.runner.run(self.memory.events(name))
        self.seen = [*self.seen, *seen][-5:]
        if which < len(self.seen):
            event = replace(self.seen[which], time=now, count=times, first_time=None)
            self.both(lambda store: store.record(event))

    @rule(digest=packages)
    def upload(self, digest: str) -> None:
        package = Package(digest=digest, size=1, uploaded_at=self.now)
        self.both(lambda store: store.record_package(package))

    @rule(age=st.integers(0, 10))
    def forget(self, age: int) -> None:
        unused_since = self.now - timedelta(seconds=age)
        self.both(lambda store: store.forget_packages(unused_since))

    @invariant()
    def alike(self) -> None:
        assert self.runner.run(_everything(self.sql)) == self.runner.run(_everything(self.memory))


async def _everything(store: Store) -> list[object]:
    found: list[object] = [await store.apis(), await store.package("p"), await store.package("q")]
    for name in NAMES:
        found += [await store.revisions(name), await store.rollouts(name), await store.events(name)]
    return found


@pytest.mark.slow
def test_the_stores_are_alike(tmp_path: Path) -> None:
    Likeness.template = tmp_path / "template.db"

    async def make() -> None:
        async with open_store(sqlite_url(Likeness.template)):
            pass

    asyncio.run(make())
    effort = settings(
        max_examples=examples(0.15),
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Likeness, settings=effort)
