"""The costs of the cluster, every ten seconds: observe → meter (pure) → publish → store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gyrus.aio.clock import Clock
from gyrus.aio.slices import slices
from gyrus.aio.ticks import ticks
from gyrus.backends.protocol import MachineSource, RunningMachine
from gyrus.contract.costs import CostView
from gyrus.contract.operator import AmountView
from gyrus.contract.replica import Phase
from gyrus.cost.bucket import ApiCosts, CostBucket
from gyrus.cost.division import ApiPart, divided
from gyrus.cost.document import VERSION, BucketDocument, UnreadableCosts, ledger_of, read_bucket, write_bucket
from gyrus.cost.ledger import LONGEST_GAP, CostLedger, metered
from gyrus.cost.money import HOUR, dollars
from gyrus.cost.observation import (
    NOTHING,
    ApiUse,
    CostObservation,
    MachinePrice,
    MachineReservation,
    PricedMachine,
)
from gyrus.cost.report import cost_view
from gyrus.spec.replicated import ReplicatedSpec
from gyrus.state.api_cache import ApiCache
from gyrus.state.board import Board, Spending
from gyrus.state.errors import StateError
from gyrus.state.records import Api, StoredCosts
from gyrus.state.store import Store

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two observations that are charged."""
LOOK = 1.0
"""Seconds between two looks at the requests in flight."""
SAVE_EVERY = 60.0
"""Seconds between two writes. A killed operator loses what came since: the next one charges that time as it
finds the cluster."""

PriceOf = Callable[[RunningMachine], MachinePrice | None]
"""Returns the price of a machine, or None if it is unknown."""


@dataclass(slots=True)
class _BusyTime:
    """The average use of an API's slots since the last observation."""

    total: float = 0.0
    looks: int = 0

    @property
    def average(self) -> float:
        return self.total / self.looks if self.looks else 0.0


@dataclass(slots=True)
class CostMeter:
    store: Store
    board: Board
    clock: Clock
    machines: MachineSource
    price_of: PriceOf
    shared: Mapping[str, float] = field(default_factory=dict[str, float])
    """By part of the cluster that no API causes alone: US dollars per hour."""
    remedy: str = ""
    """The way to set prices, for users."""
    _apis: ApiCache = field(init=False)
    _ledger: CostLedger | None = None
    """All costs. None until those of earlier operators are read."""
    _latest: CostObservation | None = None
    _spent: CostBucket = field(default_factory=lambda: CostBucket(start=0))
    """The costs since the operator started."""
    _stored: dict[int, CostBucket] = field(default_factory=dict[int, CostBucket])
    """The buckets as they are stored, by start."""
    _busy: dict[str, _BusyTime] = field(default_factory=dict[str, _BusyTime])
    """By API."""
    _replicas: dict[str, tuple[datetime, int, AmountView | None]] = field(
        default_factory=dict[str, tuple[datetime, int, AmountView | None]]
    )
    """By API at zero: its time of creation, its revision, and the amount that one replica reserves. None if
    the API is not scaled."""

    def __post_init__(self) -> None:
        self._apis = ApiCache(self.store, self.clock)

    async def run(self) -> None:
        """Meter until cancelled."""
        await self.recall()
        charged = saved = self.clock.monotonic() - EVERY
        with self.board.intent_signals.listen() as changes:
            self._apis.expire()
            async for _ in ticks(self.clock, LOOK):
                self._look()
                now = self.clock.monotonic()
                if now - charged < EVERY:
                    continue
                charged = now
                self._apis.invalidate(changes.take())
                await self.measure()
                if now - saved >= SAVE_EVERY or self._has_new_hour:
                    saved = now
                    await self.save()

    def view(self) -> CostView:
        """Return the costs at this time. It computes: call it in a thread."""
        if self._ledger is None or self._latest is None:
            return CostView(known=False, remedy="Repeat the command: the operator has just started.")
        return cost_view(self._ledger, self._latest, self.clock.now().timestamp(), self.remedy)

    async def save(self) -> None:
        """Store what has changed, for the next operator. If the store fails, logs it: it is saved again."""
        ledger = self._ledger
        if ledger is None:
            return
        changed = [b for start, b in ledger.buckets.items() if self._stored.get(start) is not b]
        gone = [start for start in self._stored if start not in ledger.buckets]
        documents = [
            StoredCosts(start=bucket.start, version=VERSION, document=write_bucket(ledger, bucket))
            for bucket in changed
        ]
        try:
            await self.store.save_costs(documents, gone)
        except StateError as error:
            log.warning("cannot store the costs: %s", error)
            return
        self._stored = dict(ledger.buckets)

    @property
    def _has_new_hour(self) -> bool:
        """True if an hour is not stored at all, as ten seconds after a first start."""
        return self._ledger is not None and not self._ledger.buckets.keys() <= self._stored.keys()

    # Observe

    def _look(self) -> None:
        """Note the use of slots at this moment."""
        for name, traffic in self.board.traffic.items():
            replicas = self.board.replicas.get(name, ())
            ready = sum(replica.status.phase is Phase.READY for replica in replicas)
            route = self.board.routes.get(name)
            queueing = route.queueing if route else None
            slots = ready * (queueing.slots if queueing and queueing.slots else 1)
            busy = self._busy.setdefault(name, _BusyTime())
            busy.total += min(1.0, traffic.in_flight / slots) if slots else 0.0
            busy.looks += 1

    async def _observe(self) -> CostObservation:
        uses: dict[str, ApiUse] = {}
        records = await self._apis.refresh()
        async for api in slices(tuple(records.values()), clock=self.clock):
            uses[api.name] = await self._use(api)
        self._busy.clear()
        for name in [name for name in self._replicas if name not in records]:
            del self._replicas[name]
        return CostObservation(
            at=self.clock.now().timestamp(),
            machines=tuple(self._priced(machine) for machine in self.machines.machines()),
            shared=self.shared,
            apis=uses,
        )

    async def _use(self, api: Api) -> ApiUse:
        traffic = self.board.traffic.get(api.name)
        busy = self._busy.get(api.name, _BusyTime())
        replica = await self._replica_at_zero(api) if not api.replicas and not api.deleting else None
        return ApiUse(
            requests=traffic.view.requests if traffic else None,
            busy=busy.average,
            at_zero=replica is not None,
            replica=replica or NOTHING,
        )

    async def _replica_at_zero(self, api: Api) -> AmountView | None:
        """Return the amount that one replica would reserve. Returns None if the API is not scaled."""
        known = self._replicas.get(api.name)
        if known is None or known[:2] != (api.created_at, api.target.revision):
            revision = await self.store.revision(api.name, api.target.revision)
            spec, amount = revision.spec if revision else None, None
            if revision and isinstance(spec, ReplicatedSpec) and spec.scaling is not None:
                compute = spec.workload(revision.package).compute
                amount = AmountView(cpu=compute.cpu, mem=compute.mem or 0, gpu=compute.gpu)
            known = self._replicas[api.name] = (api.created_at, api.target.revision, amount)
        return known[2]

    def _priced(self, machine: RunningMachine) -> PricedMachine:
        return PricedMachine(
            name=machine.name,
            price=self.price_of(machine),
            total=machine.total,
            reservations=tuple(MachineReservation(api=held.api, amount=held.amount) for held in machine.held),
        )

    # Meter

    async def measure(self) -> None:
        """Charge the time since the last observation, and publish the present costs."""
        observed, before = await self._observe(), self._ledger or CostLedger()
        # In threads, since they compute for up to a tenth of a second if there are a thousand APIs.
        self._ledger = await asyncio.to_thread(metered, before, observed)
        self._latest = observed
        self._spent = await asyncio.to_thread(_charged, self._spent, before, self._ledger, observed)
        self.board.spending = await asyncio.to_thread(_spending, self._spent, observed)

    async def recall(self) -> None:
        """Continue from what an earlier operator has stored, unless this one has begun already."""
        if self._ledger is not None:
            return
        documents: list[BucketDocument] = []
        for stored in await self.store.costs():
            try:
                documents.append(read_bucket(stored.document, stored.version))
            except UnreadableCosts as error:
                log.warning("dropping the costs of the time from %d: %s", stored.start, error)
        self._ledger = ledger_of(documents)
        self._stored = dict(self._ledger.buckets)


def _charged(
    spent: CostBucket, before: CostLedger, after: CostLedger, observed: CostObservation
) -> CostBucket:
    """Return what was spent since the operator started, with the time between two ledgers."""
    if before.until is None or after.until is None or not 0 < after.until - before.until <= LONGEST_GAP:
        return spent
    milliseconds = after.until - before.until
    return spent.charged(divided(observed, milliseconds), observed.apis, milliseconds)


def _spending(spent: CostBucket, observed: CostObservation) -> Spending | None:
    """Return the costs for the board. Returns None if no machine has a price."""
    if all(machine.price is None for machine in observed.machines):
        return None
    parts = divided(observed, HOUR)
    return Spending(
        per_hour={name: dollars(parts.apis.get(name, ApiPart()).cost) for name in observed.apis},
        total={name: dollars(spent.apis.get(name, ApiCosts()).part.cost) for name in observed.apis},
        idle_per_hour=dollars(parts.idle),
        idle_total=dollars(spent.idle),
        shared_per_hour=dollars(sum(parts.shared.values())),
        shared_total=dollars(sum(spent.shared.values())),
    )
