"""The costs of a cluster and of its APIs, as the operator's API returns them. US dollars; times are UTC."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCostView:
    """The costs of one part of the bill."""

    today: float = 0.0
    month: float = 0.0
    """Costs so far in this calendar month."""
    per_hour: float = 0.0
    """At present."""
    forecast: float = 0.0
    """Expected for the whole month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCostView:
    """The costs of one API."""

    name: str
    cost: PartCostView
    requests: int
    """Answered in this month."""
    per_1000_requests: float | None
    """In this month. None if there were no requests."""
    idle_share: float | None
    """Part of the month's costs for slots that no request used: 0 to 1. None if there were no costs."""
    spot_saved: float
    """In this month, compared with the prices on demand."""
    zero_saved: float
    """In this month: the value of the one replica that the API did not have while it was scaled to zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRatesView:
    """The prices of resources per hour."""

    core: float
    gib: float
    gpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostView:
    """The costs of a cluster: ``bill`` is the sum of ``apis``, ``idle`` and ``shared``."""

    known: bool
    """False if no machine has a price."""
    remedy: str = ""
    """The way to set prices, if they are unknown."""
    time: str = ""
    """RFC 3339."""
    since: str | None = None
    """RFC 3339: the beginning of the month's metered time. None if nothing was metered."""
    bill: PartCostView = field(default_factory=PartCostView)
    apis: tuple[ApiCostView, ...] = ()
    """By name: APIs that exist, and those that had costs in this month."""
    idle: PartCostView = field(default_factory=PartCostView)
    """For capacity of machines that no API reserves."""
    shared: dict[str, PartCostView] = field(default_factory=dict[str, PartCostView])
    """By part of the cluster that no API causes alone."""
    spot_saved: float = 0.0
    """By all machines in this month, compared with the prices on demand."""
    unmetered: float = 0.0
    """Seconds of this month in which no operator ran: the bill lacks their costs."""
    unpriced: tuple[str, ...] = ()
    """Machines whose price is unknown: the bill lacks their costs."""
    rates: ResourceRatesView | None = None
    """The average prices of resources at present. None if no machine has a price."""
    history: float = 0.0
    """Metered seconds on which the forecast rests."""
