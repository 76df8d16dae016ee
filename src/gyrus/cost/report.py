"""The answers that the ledger gives, for callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from gyrus.contract.costs import ApiCostView, CostView, PartCostView, ResourceRatesView
from gyrus.contract.times import rfc3339
from gyrus.cost.bucket import HOUR, ApiCosts, CostBucket
from gyrus.cost.division import ApiPart, CostParts, divided, resource_rates
from gyrus.cost.forecast import Series, remaining_cost, rest_of
from gyrus.cost.ledger import CostLedger, day_start, month_end, month_start
from gyrus.cost.money import HOUR as HOUR_MS
from gyrus.cost.money import dollars
from gyrus.cost.observation import CostObservation


def cost_view(ledger: CostLedger, latest: CostObservation, now: float, remedy: str = "") -> CostView:
    """Return the costs at this time. ``remedy``: the way to set prices, if no machine has one."""
    rates = resource_rates(latest.machines)
    report = _Report(
        day=ledger.since(day_start(now)),
        month=ledger.since(month_start(now)),
        present=divided(latest, HOUR_MS),
        hours=tuple(sorted(ledger.buckets.values(), key=lambda bucket: bucket.start)),
        rest=rest_of(now, month_end(now)),
    )
    costly = (name for name, api in report.month.apis.items() if api.part.cost)
    names = sorted({*latest.apis, *report.present.apis, *costly})
    apis = tuple(_api_view(report, name, exists=name in latest.apis) for name in names)
    shared = {name: _shared_view(report, name) for name in {**report.month.shared, **latest.shared}}
    idle = _idle_view(report)
    first = min((bucket.start for bucket in report.hours if bucket.metered), default=None)
    return CostView(
        known=rates is not None or report.month.bill > 0,
        remedy="" if rates else remedy,
        time=_time(now),
        since=None if first is None else _time(max(first, month_start(now))),
        bill=_sum([*(api.cost for api in apis), idle, *shared.values()], report),
        apis=apis,
        idle=idle,
        shared=shared,
        spot_saved=dollars(_spot_saved(report.month)),
        unmetered=report.month.unmetered / 1000,
        unpriced=tuple(machine.name for machine in latest.machines if machine.price is None),
        rates=ResourceRatesView(core=rates.core, gib=rates.gib, gpu=rates.gpu) if rates else None,
        history=sum(bucket.metered for bucket in report.hours if bucket.length == HOUR) / 1000,
    )


@dataclass(frozen=True, slots=True)
class _Report:
    """The figures of which the answers are made."""

    day: CostBucket
    month: CostBucket
    present: CostParts
    """The costs of an hour like the present moment."""
    hours: tuple[CostBucket, ...]
    """All buckets, the oldest first."""
    rest: Mapping[int, int]
    """The rest of the month: milliseconds by hour of the week."""


def _api_view(report: _Report, name: str, *, exists: bool) -> ApiCostView:
    day = report.day.apis.get(name, ApiCosts())
    month = report.month.apis.get(name, ApiCosts())

    def series(bucket: CostBucket) -> tuple[int, int]:
        costs = bucket.apis.get(name, ApiCosts())
        return costs.part.cost, costs.metered

    present = report.present.apis.get(name, ApiPart()).cost
    part = month.part
    return ApiCostView(
        name=name,
        cost=_part_view(report, day.part.cost, part.cost, present, series if exists else None),
        requests=month.requests,
        per_1000_requests=dollars(part.cost) * 1000 / month.requests if month.requests else None,
        idle_share=part.unused / part.cost if part.cost else None,
        spot_saved=dollars(part.spot_saved),
        zero_saved=dollars(part.zero_saved),
    )


def _idle_view(report: _Report) -> PartCostView:
    return _part_view(
        report,
        report.day.idle,
        report.month.idle,
        report.present.idle,
        lambda bucket: (bucket.idle, bucket.metered),
    )


def _shared_view(report: _Report, name: str) -> PartCostView:
    present = report.present.shared.get(name, 0)

    def series(bucket: CostBucket) -> tuple[int, int]:
        return bucket.shared.get(name, 0), bucket.metered

    day, month = report.day.shared.get(name, 0), report.month.shared.get(name, 0)
    return _part_view(report, day, month, present, series if present else None)


def _part_view(report: _Report, day: int, month: int, present: int, series: Series | None) -> PartCostView:
    """Return one part. ``series``: None if the part will cost nothing more."""
    rest = 0
    if series:
        rest = remaining_cost(report.hours, series, report.rest, present=present)
    return PartCostView(
        today=dollars(day), month=dollars(month), per_hour=dollars(present), forecast=dollars(month + rest)
    )


def _sum(parts: list[PartCostView], report: _Report) -> PartCostView:
    """Return the bill. What is counted is exact; the forecast is the sum of those of the parts."""
    present = report.present
    return PartCostView(
        today=dollars(report.day.bill),
        month=dollars(report.month.bill),
        per_hour=dollars(present.machines + sum(present.shared.values())),
        forecast=sum(part.forecast for part in parts),
    )


def _spot_saved(month: CostBucket) -> int:
    return month.idle_spot_saved + sum(costs.part.spot_saved for costs in month.apis.values())


def _time(at: float) -> str:
    return rfc3339(datetime.fromtimestamp(at, UTC))
