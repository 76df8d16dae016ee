"""What the backend in memory costs the event loop; the protocol is in ``tests/contract/test_backend.py``."""

from __future__ import annotations

import asyncio

import pytest

from gyrus.aio import slices
from gyrus.backends.memory import MemoryBackend, MemoryMachine
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import Phase
from support.world import spec

WORKLOAD = spec(compute={"cpu": 1}).workload(None)


def order(id: str, api: str = "iris") -> ReplicaOrder:
    return ReplicaOrder(id=id, api=api, generation=1, revision=1, workload=WORKLOAD)


class Working:
    """A clock by which everything takes a millisecond."""

    read = 0
    slept = 0

    def monotonic(self) -> float:
        Working.read += 1
        return Working.read / 1000

    async def sleep(self, seconds: float) -> None:
        Working.slept += 1
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("held", [True, False])
async def test_others_run_between_steps_however_many_replicas_there_are(
    monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    monkeypatch.setattr(slices, "SystemClock", Working)
    Working.slept = 0
    backend = MemoryBackend()
    for number in range(100):
        await backend.start(order(f"r{number}"))
        if held:
            backend.held.add(f"r{number}")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(backend.run(), name="backend")
        for _ in range(200):
            await asyncio.sleep(0)
        running.cancel()
    assert Working.slept >= 100 / 5


class Watched(dict[str, object]):
    """Counts the members that are looked at."""

    looks = 0

    def values(self):  # type: ignore[no-untyped-def]
        for value in super().values():
            self.looks += 1
            yield value


async def test_a_waiting_replica_does_not_look_at_all_others() -> None:
    machine = MemoryMachine()
    machine.waiting = watched = Watched()  # pyright: ignore[reportAttributeAccessIssue] (it counts)
    backend = MemoryBackend(machine=machine, cores=2)
    await backend.adopt()
    for number in range(500):
        await backend.start(order(f"r{number:03}"))
    while backend.advance():
        pass
    watched.looks = 0
    backend.advance()
    assert 0 < watched.looks <= 3 * 500
    ready = [id for id, each in backend.observe("iris").items() if each.status.phase is Phase.READY]
    assert ready == ["r000", "r001"]
    await backend.stop("r000", grace=1)
    while backend.advance():
        pass
    assert backend.observe("iris")["r002"].status.phase is Phase.READY


async def test_the_logs_of_a_removed_api_go_and_those_of_others_stay() -> None:
    machine = MemoryMachine()
    backend = MemoryBackend(machine=machine)
    await backend.adopt()
    for api in ("iris", "other"):
        await backend.start(order(api, api))
        backend.write(api, "hello")
    await backend.remove("iris")
    assert [line.replica for line in machine.lines] == ["other"]
    assert machine.ids == {"other": {"other"}}
