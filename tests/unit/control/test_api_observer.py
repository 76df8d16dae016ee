"""An observation remembers only what the next one needs."""

from __future__ import annotations

from gyrus.aio.virtual import VirtualClock
from gyrus.backends.memory import MemoryBackend
from gyrus.contract.operator import Outcome
from gyrus.control.api_observer import ApiObserver
from gyrus.state.board import Board
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Revision
from support.backends import order
from support.world import spec

CLOCK = VirtualClock()


class CountedStore(MemoryStore):
    """Remembers which revisions were read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[int] = []

    async def revision(self, name: str, number: int) -> Revision | None:
        self.read.append(number)
        return await super().revision(name, number)


async def deployed(store: MemoryStore, number: int) -> None:
    """Deploy a revision of this number, and let it be live."""
    (change,) = await store.deploy([spec(env={"N": str(number)})], None, CLOCK.now())
    await store.finish(change.api, Outcome.DONE, "", CLOCK.now())


async def test_revisions_are_read_once_and_forgotten_when_nothing_uses_them() -> None:
    store, backend = CountedStore(), MemoryBackend()
    observer = ApiObserver(store, Board(), backend, None)
    await backend.start(order())
    for number in range(1, 5):
        await deployed(store, number)
        for _ in range(2):
            api = await store.api("iris")
            assert api
            await observer.observe(api, frozenset())
    assert store.read == [1, 2, 3, 4]
    known = observer._revisions  # pyright: ignore[reportPrivateUsage]
    assert known["iris"].keys() == {1, 4}, "that of the replica, and the live one"
    observer.forget("iris")
    assert not known
