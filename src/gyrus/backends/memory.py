"""A backend without processes, for tests of its consumers. Its replicas follow a script, step by step.

Steps do not depend on time. :meth:`MemoryBackend.run` takes every replica one step further in each iteration
of the event loop. A test that checks the state between two steps calls :meth:`MemoryBackend.advance` instead.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

from gyrus.aio.clock import Clock, SystemClock
from gyrus.aio.signals import Signals
from gyrus.aio.slices import slices
from gyrus.backends.protocol import HeldAmount, Observation, ReplicaOrder, RunningMachine
from gyrus.backends.replica_index import ReplicaIndex
from gyrus.contract.operator import AmountView, CapacityView, ForkServerView, LogLine, LogQuery
from gyrus.contract.replica import FINAL, Phase, Reason, ReplicaStatus, RestartPolicy
from gyrus.contract.workload import ComputeResources

CLOSE = 1e-6
"""Rounding error of sums, in cores or replicas."""

KILLED = "killed by signal 9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next state of a replica."""

    phase: Phase
    reason: Reason | None = None
    message: str = ""
    last_lines: tuple[str, ...] = ()
    exit_code: int | None = None


Script = Callable[[ReplicaOrder], Sequence[Step]]
"""A function that returns the steps of a replica after the order (PENDING), for each of its starts."""


def works(order: ReplicaOrder) -> Sequence[Step]:
    """Return the steps of a replica that becomes ready."""
    return (Step(phase=Phase.STARTING), Step(phase=Phase.READY))


def fails(reason: Reason, message: str, *last_lines: str) -> Script:
    """Return a script in which every replica fails for good."""
    end = Step(phase=Phase.FAILED, reason=reason, message=message, last_lines=last_lines)
    return lambda order: (Step(phase=Phase.STARTING), end)


@dataclass(slots=True)
class _Replica:
    order: ReplicaOrder
    status: ReplicaStatus
    ahead: Iterator[Step | None]
    """The steps to come; None removes the replica."""
    holds: bool = False
    """True if it holds its share of the cores."""
    _observation: Observation | None = None
    """The latest observation; None if there was none."""

    @property
    def observation(self) -> Observation:
        """The observation, made again only if the status changes: benchmarks read tens of thousands."""
        if self._observation is None or self._observation.status is not self.status:
            self._observation = Observation(generation=self.order.generation, status=self.status)
        return self._observation

    @property
    def waits(self) -> bool:
        """True if it waits for its share of the cores."""
        return self.status.phase is Phase.PENDING and not self.holds

    @property
    def cores(self) -> float:
        return self.order.workload.compute.cpu


@dataclass(slots=True)
class MemoryMachine:
    """The state that outlives an operator. A second backend on the same machine adopts its replicas."""

    replicas: ReplicaIndex[_Replica] = field(default_factory=ReplicaIndex[_Replica])
    moving: dict[str, None] = field(default_factory=dict[str, None])
    """Ids of replicas that may have a next step, in the order of these steps."""
    lines: list[LogLine] = field(default_factory=list[LogLine])
    ids: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    """By API: its replicas. Those that are gone stay until the API is removed."""
    holding: dict[str, _Replica] = field(default_factory=dict[str, _Replica])
    """By id: the replicas that hold their share of the cores."""
    waiting: dict[str, _Replica] = field(default_factory=dict[str, _Replica])
    """By id: the replicas that wait for their share, in order."""

    def account(self, replica: _Replica) -> None:
        """Update both after a change of the replica, because a step cannot afford to look at all of them."""
        for members, belongs in ((self.holding, replica.holds), (self.waiting, replica.waits)):
            if belongs:
                members.setdefault(replica.order.id, replica)
            else:
                members.pop(replica.order.id, None)

    def drop(self, replica: _Replica) -> None:
        self.replicas.remove(replica.order.id)
        self.holding.pop(replica.order.id, None)
        self.waiting.pop(replica.order.id, None)


class MemoryBackend:
    """A backend that keeps the protocol, and that its test controls."""

    name = "memory"

    def __init__(
        self,
        script: Script = works,
        *,
        clock: Clock | None = None,
        machine: MemoryMachine | None = None,
        cores: float | None = None,
    ) -> None:
        self.changes = Signals()
        self.script = script
        """The script of every later start. A test may replace it at any time."""
        self.cores = cores
        """Cores for all replicas, which queue for their share in order. None means no limit."""
        self.held: set[str] = set()
        """Ids of replicas that take no step until they are released."""
        self.forgotten: set[str] = set()
        """Digests of packages that are no longer needed."""
        self.expected: dict[str, ReplicaOrder] = {}
        """Expected orders, by API."""
        self.views: dict[str, ForkServerView] = {}
        """Fork servers to report, by API."""
        self._clock: Clock = clock or SystemClock()
        self._machine = machine or MemoryMachine()
        self._adopted = machine is None
        self._moved = asyncio.Event()
        self._written = asyncio.Event()

    # The protocol

    async def adopt(self) -> None:
        self._adopted = True
        self._notify(*self._machine.replicas)

    async def run(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            # By the real clock: a step's time is spent on the event loop, whatever the replicas' clock.
            async for moved in slices(self._steps()):
                if moved:
                    self._moved.set()
            await asyncio.sleep(0)

    async def start(self, order: ReplicaOrder) -> None:
        if order.id in self._machine.replicas:
            return
        status = ReplicaStatus(
            id=order.id,
            api=order.api,
            revision=order.revision,
            phase=Phase.PENDING,
            started_at=self._clock.now().timestamp(),
        )
        replica = _Replica(order, status, iter(self.script(order)))
        self._machine.replicas.add(order.api, order.id, replica)
        self._machine.ids.setdefault(order.api, set()).add(order.id)
        self._machine.account(replica)
        self._let_move(replica)
        self._notify(replica)

    async def stop(self, replica: str, *, grace: float) -> None:
        found = self._machine.replicas.get(replica)
        if found is None or found.status.phase is Phase.DRAINING:
            return
        found.status = replace(found.status, phase=Phase.DRAINING, endpoints=())
        found.ahead = iter((None,))
        self._machine.account(found)
        self._let_move(found)
        self._notify(found)

    def expect(self, api: str, order: ReplicaOrder | None) -> None:
        if order is None:
            self.expected.pop(api, None)
        else:
            self.expected[api] = order

    def fork_server(self, api: str) -> ForkServerView | None:
        return self.views.get(api)

    async def expect_no_orders(self) -> None:
        self.expected.clear()

    def observe(self, api: str) -> Mapping[str, Observation]:
        if not self._adopted:
            return {}
        return {id: replica.observation for id, replica in self._machine.replicas.of(api).items()}

    def apis(self) -> Collection[str]:
        return tuple(self._machine.replicas.apis) if self._adopted else ()

    def capacity_for(self, api: str, compute: ComputeResources) -> int | None:
        needs = compute.cpu
        if self.cores is None or not needs:
            return None
        own = sum(r.cores for r in self._machine.holding.values() if r.status.api == api)
        asked = sum(r.cores for r in self._machine.waiting.values() if r.status.api != api)
        return math.floor((own + max(0.0, self._free() - asked)) / needs + CLOSE)

    def shortage_for(self, api: str, compute: ComputeResources) -> str:
        if self.cores is None or not compute.cpu:
            return ""
        asked = sum(replica.cores for replica in self._machine.waiting.values())
        if compute.cpu <= self._free() - asked + CLOSE:
            return ""
        lack = f"needs {compute.cpu:g} CPU, {self._free():g} of {self.cores:g} free"
        return f"there is no capacity: {lack}; delete or scale down other APIs, or request less in compute"

    def preemptable(self, api: str) -> Collection[str] | None:
        return None  # a replica that ends passes its share on

    def capacity(self) -> CapacityView | None:
        if self.cores is None:
            return None
        holding, waiting = self._machine.holding.values(), self._machine.waiting.values()
        return CapacityView(
            total=AmountView(cpu=self.cores, mem=0, gpu=0),
            held=AmountView(cpu=sum(replica.cores for replica in holding), mem=0, gpu=0),
            waiting=AmountView(cpu=sum(replica.cores for replica in waiting), mem=0, gpu=0),
            replicas=len(holding),
            replicas_waiting=len(waiting),
            overcommit=False,
        )

    def machines(self) -> Sequence[RunningMachine]:
        held = tuple(
            HeldAmount(api=replica.status.api, amount=AmountView(cpu=replica.cores, mem=0, gpu=0))
            for replica in self._machine.holding.values()
        )
        total = AmountView(cpu=self.cores or 0, mem=0, gpu=0)
        return (RunningMachine(name="memory", total=total, held=held),)

    async def logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        seen = len(self._machine.lines)
        past = sorted(
            (line for line in self._machine.lines if self._asked(line, query)), key=lambda x: x.time
        )
        for line in past[-query.tail :] if query.tail else past if query.tail is None else ():
            yield line
        while query.follow:
            self._written.clear()
            for line in self._machine.lines[seen:]:
                seen += 1
                if self._asked(line, query):
                    yield line
            await self._written.wait()

    async def remove(self, api: str) -> None:
        self.expect(api, None)
        gone = self._machine.ids.pop(api, set[str]())
        self._machine.lines = [line for line in self._machine.lines if line.replica not in gone]

    async def forget_packages(self, digests: frozenset[str]) -> None:
        self.forgotten |= digests

    # Control by a test

    def advance(self) -> bool:
        """Take every replica that is not held one step further. Returns False if none had a step to take."""
        return any(tuple(self._steps()))

    def release(self, *replicas: str) -> None:
        self.held.difference_update(replicas)
        self._moved.set()

    def set(self, replica: str, step: Step) -> None:
        """Set the state of a replica, and end its script."""
        found = self._machine.replicas[replica]
        found.ahead = iter(())
        found.holds = step.phase not in (Phase.PENDING, *FINAL)
        self._let_move(found)
        self._apply(found, step)

    def kill(self, replica: str) -> None:
        """End the replica's process, as ``kill -9`` would.

        The replica backs off and follows the script again. It fails if its restart policy is ``never``.
        """
        found = self._machine.replicas[replica]
        if found.order.workload.restart is RestartPolicy.NEVER:
            self.set(replica, Step(phase=Phase.FAILED, reason=Reason.KILLED, message=KILLED, exit_code=-9))
            return
        found.status = replace(found.status, restarts=found.status.restarts + 1)
        found.ahead = chain(self.script(found.order))
        self._let_move(found)
        self._apply(found, Step(phase=Phase.BACKOFF, reason=Reason.KILLED, message=KILLED))

    def write(self, replica: str, message: str, *, time: float | None = None) -> None:
        """Add a line to the log of a replica."""
        at = self._clock.now().timestamp() if time is None else time
        run = self._machine.replicas[replica].status.restarts
        self._machine.lines.append(LogLine(time=at, replica=replica, message=message, run=run))
        self._written.set()

    # Implementation

    def _let_move(self, replica: _Replica) -> None:
        self._machine.moving[replica.order.id] = None

    def _steps(self) -> Iterator[bool]:
        """Take the next step of each replica that may have one, and yield for each whether it had one."""
        for id in tuple(self._machine.moving):
            replica = self._machine.replicas.get(id)
            if replica is None:
                self._machine.moving.pop(id, None)
            yield replica is not None and id not in self.held and self._step(replica)

    def _step(self, replica: _Replica) -> bool:
        if replica.status.phase is Phase.PENDING and not replica.holds and not self._find_place(replica):
            return False
        done = Step(phase=replica.status.phase)
        step = next(replica.ahead, done)
        if step is done:
            self._machine.moving.pop(replica.order.id, None)
            return False
        if step is None:
            self._machine.drop(replica)
            self._pass_on(replica)
            self._notify(replica)
        else:
            self._apply(replica, step)
        return True

    def _apply(self, replica: _Replica, step: Step) -> None:
        ready = step.phase is Phase.READY
        replica.holds = replica.holds and step.phase not in FINAL
        replica.status = replace(
            replica.status,
            phase=step.phase,
            reason=step.reason,
            message=step.message,
            last_lines=step.last_lines,
            exit_code=step.exit_code,
            endpoints=(f"unix:/memory/{replica.order.id}.0.sock",) if ready else (),
            ready_at=replica.status.ready_at or (self._clock.now().timestamp() if ready else None),
        )
        self._machine.account(replica)
        self._notify(replica)

    def _find_place(self, replica: _Replica) -> bool:
        """Allocate a replica's cores, in the order of the orders. Returns False if it waits or fails."""
        if self.cores is None:
            return True
        if replica.cores > self.cores:
            message = f"compute.cpu is {replica.cores:g}, and this machine has {self.cores:g} cores"
            replica.ahead = iter(())
            self._apply(replica, Step(phase=Phase.FAILED, reason=Reason.UNSCHEDULABLE, message=message))
            return False
        replica.holds = not replica.cores or self._is_next(replica)
        self._machine.account(replica)
        if not replica.holds:
            message = (
                f"waiting for capacity: needs {replica.cores:g} CPU, {self._free():g} of {self.cores:g} free"
            )
            step = Step(phase=Phase.PENDING, reason=Reason.CAPACITY, message=message)
            if replica.status.message != message:
                self._apply(replica, step)
        return replica.holds

    def _is_next(self, replica: _Replica) -> bool:
        """Return True if there are cores for a replica and all that wait before it."""
        free = self._free() + CLOSE
        for other in self._machine.waiting.values():
            free -= other.cores
            if free < 0 or other is replica:
                break
        return free >= 0

    def _pass_on(self, gone: _Replica) -> None:
        """Pass its cores on to a waiting replica of its API that needs no more."""
        if not gone.holds:
            return
        own = self._machine.replicas.of(gone.status.api).values()
        successor = next((r for r in own if r.waits and r.cores <= gone.cores + CLOSE), None)
        if successor:
            successor.holds = True
            self._apply(successor, Step(phase=Phase.PENDING, message="about to start"))

    def _free(self) -> float:
        """Cores that no replica holds."""
        return (self.cores or 0.0) - sum(replica.cores for replica in self._machine.holding.values())

    def _notify(self, *replicas: _Replica) -> None:
        self._moved.set()
        self.changes.notify(*(replica.status.api for replica in replicas))

    def _asked(self, line: LogLine, query: LogQuery) -> bool:
        present = self._machine.replicas.get(line.replica)
        before = present is None or line.run < present.status.restarts
        return (
            line.replica in self._machine.ids.get(query.api, ())
            and query.replica in (None, line.replica)
            and (query.since is None or line.time >= query.since)
            and (before or not query.previous)
        )
