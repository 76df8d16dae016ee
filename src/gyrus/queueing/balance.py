"""Who should give back how many of its waiting requests, because others can start them sooner.

Many queues are to act like one: whoever has waited longest is started next, wherever a slot becomes free. So
every process should have the next few of *all* that wait; the rest stays where it is until its turn is near.
Whatever is given back is the oldest there, and takes the place of its arrival in the queue that it goes to.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heapreplace, merge
from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

SLACK = 2
"""A process has its share if that is among the oldest, so many times all shares: order to the last place
would keep requests moving between queues that are as good as even."""
DEEPEST = 64
"""Requests that each slot should find waiting, at most."""
CALM = 40
"""Looks without a slot that ran dry, after which shares shrink again."""


class Queue(Protocol):
    """What one process has to do (``contract.replica.Load``, or the simulator's)."""

    @property
    def slots(self) -> int | None: ...
    @property
    def busy(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def movable(self) -> int: ...
    @property
    def places(self) -> int:
        """How many more may come."""
        ...

    @property
    def waited(self) -> Sequence[float]:
        """How long those have waited that could be given back, longest first; perhaps not of all."""
        ...


class RequeueRequest(NamedTuple):
    """What one process should give back: the ``first`` oldest; then ``spare`` stay, and ``more`` go."""

    first: int = 0
    spare: int = 0
    more: int = 0

    @property
    def number(self) -> int:
        return self.first + self.more


class Balancer(Generic[K]):
    """Looks again and again at the queues of one API while somebody waits."""

    def __init__(self) -> None:
        self.depth = 1
        """Requests that each slot should find waiting. The fewer, the nearer to the order of arrival; enough,
        if no slot runs dry between two looks."""
        self._filled: frozenset[K] = frozenset()
        self._calm = 0

    def look(self, queues: Mapping[K, Queue]) -> dict[K, RequeueRequest]:
        """Who is not named keeps all."""
        self._learn(queues)
        moves = rebalance(queues, self.depth)
        self._filled = frozenset(queues) if moves else frozenset()
        return moves

    def _learn(self, queues: Mapping[K, Queue]) -> None:
        if not any(queue.waiting for queue in queues.values()):
            self.depth, self._calm = 1, 0
        elif any(_free(queues[key]) for key in self._filled & queues.keys()):
            self.depth, self._calm = min(DEEPEST, self.depth * 2), 0
        else:
            self._calm += 1
            if self._calm >= CALM:
                self.depth, self._calm = max(1, self.depth // 2), 0


def rebalance(queues: Mapping[K, Queue], depth: int = 1) -> dict[K, RequeueRequest]:
    """One look. Pure. ``depth``: requests that each slot should find waiting."""
    keys = [key for key, queue in queues.items() if queue.slots]
    shares = [_Share(queues[key], depth) for key in keys]
    if not any(share.gives for share in shares):
        return {}
    total = sum(share.due for share in shares)
    oldest = _oldest(shares, SLACK * total)
    for share in oldest:
        share.held += 1
    free = sum(min(share.free, share.lacking) for share in shares)
    _move(shares, oldest[: total + free], free)
    givings = ((key, share.requeue) for key, share in zip(keys, shares, strict=True))
    return {key: requeue for key, requeue in givings if requeue.number}


class _Share:
    """What one process should have of the oldest requests, and has."""

    __slots__ = (
        "coming", "due", "first", "free", "gives", "held", "in_flight", "kept", "more", "places", "waited",
    )  # fmt: skip

    def __init__(self, queue: Queue, depth: int) -> None:
        slots = queue.slots or 0
        self.waited = queue.waited if queue.movable else ()
        self.in_flight = queue.busy + queue.waiting
        self.places = queue.places
        self.gives = queue.movable > 0 and queue.busy >= slots
        """A queue before free slots is one that gathers a batch."""
        self.free = _free(queue)
        self.due = self.free + depth * slots
        self.held = queue.waiting - queue.movable
        self.first = self.kept = self.more = 0
        self.coming = 0

    @property
    def requeue(self) -> RequeueRequest:
        return RequeueRequest(self.first, self.kept, self.more)

    @property
    def lacking(self) -> int:
        return max(0, min(self.due - self.held, self.places) - self.coming)


def _free(queue: Queue) -> int:
    """Slots that nobody has, nor waits for."""
    return max(0, (queue.slots or 0) - queue.busy - queue.waiting)


def _oldest(shares: Sequence[_Share], number: int) -> list[_Share]:
    """Where those wait who have waited longest of all, longest first."""
    ages = (_ages(place, share.waited) for place, share in enumerate(shares) if share.waited)
    return [shares[place] for _, place in islice(merge(*ages), number)]


def _ages(place: int, waited: Sequence[float]) -> Iterator[tuple[float, int]]:
    for seconds in waited:
        yield -seconds, place


def _move(shares: Sequence[_Share], oldest: Iterable[_Share], free: int) -> None:
    """The oldest take up free slots; then each process keeps its due, and the rest goes where some lack."""
    targets = _Targets(shares)
    for share in oldest:
        if not share.gives:
            continue
        if free <= 0 and share.kept < share.due:
            share.kept += 1
        elif not targets.take():
            return
        elif free > 0:
            free -= 1
            share.first += 1
        else:
            share.more += 1


class _Targets:
    """Where the gateway sends what is given back: to whoever has the fewest requests. Of equals it is assumed
    to find one that lacks some.
    """

    def __init__(self, shares: Sequence[_Share]) -> None:
        self._shares = shares
        self._heap = [(share.in_flight, not share.lacking, place) for place, share in enumerate(shares)]
        heapify(self._heap)

    def take(self) -> bool:
        """False: it would go to one that has its share."""
        number, satisfied, place = self._heap[0]
        if satisfied:
            return False
        share = self._shares[place]
        share.coming += 1
        heapreplace(self._heap, (number + 1, not share.lacking, place))
        return True
