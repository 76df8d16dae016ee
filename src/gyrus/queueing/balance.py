"""The number of waiting requests that each process should requeue because others can start them sooner.

Many queues act like one: the request that has waited longest starts next, wherever a slot becomes free. So
every process should hold a few of the oldest of *all* waiting requests. The others stay where they are until
they are among the oldest. A process requeues its oldest requests first, and each takes the place of its
arrival in the queue that it goes to.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heapreplace, merge
from itertools import islice
from typing import Generic, NamedTuple, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

SLACK = 2
"""Multiple of all shares: requests count as oldest if they are among this many times the sum of the shares.

An exact order would keep moving requests between queues that are almost even.
"""
DEEPEST = 64
"""Waiting requests per slot, at most."""
CALM = 40
"""Passes without an idle slot after which the shares shrink again."""


class Queue(Protocol):
    """The load of one process (``contract.replica.QueueLoad``, or the simulator's)."""

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
        """Requests that the process can still admit."""
        ...

    @property
    def waited(self) -> Sequence[float]:
        """Seconds that the movable requests have waited, longest first; the list may be cut off."""
        ...

    @property
    def begun(self) -> int:
        """Requests that the process has started so far; always 0 if that is unknown."""
        ...


class RequeueRequest(NamedTuple):
    """Requests for one process to requeue: the ``first`` oldest; the next ``spare`` stay, ``more`` follow."""

    first: int = 0
    spare: int = 0
    more: int = 0

    @property
    def number(self) -> int:
        return self.first + self.more


class Balancer(Generic[K]):
    """Balance the queues of one API, pass by pass, while requests wait."""

    def __init__(self) -> None:
        self.depth = 1
        """Waiting requests per slot.

        Fewer keep the order closer to the order of arrival. There must be enough that between two passes no
        slot becomes idle, or starts later arrivals while the oldest wait elsewhere.
        """
        self._filled: dict[K, int] = {}
        """By process that the last pass gave a share: the number of started requests at the share's end."""
        self._calm = 0

    def look(self, queues: Mapping[K, Queue]) -> dict[K, RequeueRequest]:
        """Return the requests to requeue by process; a process without an entry keeps all of its requests."""
        self._learn(queues)
        moves = rebalance(queues, self.depth)
        self._filled = {key: queue.begun + _due(queue, self.depth) for key, queue in queues.items() if moves}
        return moves

    def _learn(self, queues: Mapping[K, Queue]) -> None:
        if not any(queue.waiting for queue in queues.values()):
            self.depth, self._calm = 1, 0
        elif any(self._ran_out(key, queues[key]) for key in self._filled.keys() & queues.keys()):
            # A slot had started its share before this pass refilled it: keep more in front of each.
            self.depth, self._calm = min(DEEPEST, self.depth * 2), 0
        else:
            self._calm += 1
            if self._calm >= CALM:
                self.depth, self._calm = max(1, self.depth // 2), 0

    def _ran_out(self, key: K, queue: Queue) -> bool:
        """Return True if the process has a free slot, or has started more than its share."""
        return _free(queue) > 0 or queue.begun > self._filled[key]


def rebalance(queues: Mapping[K, Queue], depth: int = 1) -> dict[K, RequeueRequest]:
    """Return one pass's requests to requeue by process. Pure. ``depth``: waiting requests per slot."""
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
    requests = ((key, share.requeue) for key, share in zip(keys, shares, strict=True))
    return {key: requeue for key, requeue in requests if requeue.number}


class _Share:
    """The share of the oldest requests that one process should have, and the part that it has."""

    __slots__ = (
        "coming", "due", "first", "free", "gives", "held", "in_flight", "kept", "more", "places", "waited",
    )  # fmt: skip

    def __init__(self, queue: Queue, depth: int) -> None:
        slots = queue.slots or 0
        self.waited = queue.waited if queue.movable else ()
        self.in_flight = queue.busy + queue.waiting
        self.places = queue.places
        self.gives = queue.movable > 0 and queue.busy >= slots
        """Requests that wait although slots are free are gathering a batch, so they stay."""
        self.free = _free(queue)
        self.due = _due(queue, depth)
        self.held = queue.waiting - queue.movable
        self.first = self.kept = self.more = 0
        self.coming = 0

    @property
    def requeue(self) -> RequeueRequest:
        return RequeueRequest(self.first, self.kept, self.more)

    @property
    def lacking(self) -> int:
        return max(0, min(self.due - self.held, self.places) - self.coming)


def _due(queue: Queue, depth: int) -> int:
    """Return the share of the oldest requests that the process should have."""
    return _free(queue) + depth * (queue.slots or 0)


def _free(queue: Queue) -> int:
    """Return the slots that no request has or waits for."""
    return max(0, (queue.slots or 0) - queue.busy - queue.waiting)


def _oldest(shares: Sequence[_Share], number: int) -> list[_Share]:
    """Return the shares that hold the oldest requests: one entry per request, oldest first."""
    ages = (_ages(place, share.waited) for place, share in enumerate(shares) if share.waited)
    return [shares[place] for _, place in islice(merge(*ages), number)]


def _ages(place: int, waited: Sequence[float]) -> Iterator[tuple[float, int]]:
    for seconds in waited:
        yield -seconds, place


def _move(shares: Sequence[_Share], oldest: Iterable[_Share], free: int) -> None:
    """Move the oldest to free slots; then each process keeps its share, and the rest fills other shares."""
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
    """The processes to which the gateway will send the requeued requests: those with the fewest requests.

    Among equals, the gateway is assumed to choose one that lacks requests.
    """

    def __init__(self, shares: Sequence[_Share]) -> None:
        self._shares = shares
        self._heap = [(share.in_flight, not share.lacking, place) for place, share in enumerate(shares)]
        heapify(self._heap)

    def take(self) -> bool:
        """Take the next target. Returns False if the request would go to a process that has its share."""
        number, satisfied, place = self._heap[0]
        if satisfied:
            return False
        share = self._shares[place]
        share.coming += 1
        heapreplace(self._heap, (number + 1, not share.lacking, place))
        return True
