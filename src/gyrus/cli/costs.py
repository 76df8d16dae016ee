"""The costs of a cluster and of its APIs, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from gyrus.cli.money import usd
from gyrus.cli.output import bold, counted, dim, duration, figures_beside
from gyrus.contract.costs import ApiCostView, CostView, PartCostView, ResourceRatesView

if TYPE_CHECKING:
    from gyrus.spec.api import ApiSpec

HEADERS = ("", "PER HOUR", "TODAY", "MONTH", "FORECAST", "PER 1,000", "IDLE", "SAVED")
UNKNOWN = "-"
LITTLE_HISTORY = 24 * 3600.0
"""Seconds of history below which the forecast is called rough."""


def drawn_costs(costs: CostView) -> str:
    """Format all costs: a row for each API, for idle capacity, for each shared part, and the bill."""
    rows = [
        *(_api_row(api) for api in costs.apis),
        _part_row("idle capacity", costs.idle),
        *(_part_row(name, part) for name, part in costs.shared.items()),
        tuple(bold(cell) if cell else "" for cell in _part_row("total", costs.bill)),
    ]
    return "\n".join([figures_beside(HEADERS, rows), "", *map(dim, _notes(costs))])


def cost_of(name: str, costs: CostView) -> ApiCostView:
    """Return the costs of an API. One that was deployed a moment ago has none."""
    nothing = ApiCostView(
        name=name,
        cost=PartCostView(),
        requests=0,
        per_1000_requests=None,
        idle_share=None,
        spot_saved=0.0,
        zero_saved=0.0,
    )
    return next((api for api in costs.apis if api.name == name), nothing)


def drawn_cost(api: ApiCostView, costs: CostView) -> str:
    """Format the costs of one API."""
    lines = [bold(api.name), *(f"  {key:<18} {text}" for key, text in api_lines(api).items())]
    return "\n".join([*lines, "", *map(dim, _notes(costs))])


def api_lines(api: ApiCostView) -> dict[str, str]:
    """Return the costs of one API, by what they are."""
    lines = {
        "per hour": usd(api.cost.per_hour),
        "today": usd(api.cost.today),
        "this month": f"{usd(api.cost.month)}, {counted(api.requests, 'request')}",
        "forecast": f"{usd(api.cost.forecast)} for the whole month",
    }
    if api.per_1000_requests is not None:
        lines["per 1,000 requests"] = usd(api.per_1000_requests)
    if api.idle_share is not None:
        lines["idle"] = f"{api.idle_share:.0%} of this month's costs, for slots that no request used"
    if api.spot_saved:
        lines["saved by spot"] = f"{usd(api.spot_saved)} this month, compared with on demand"
    if api.zero_saved:
        lines["saved at zero"] = f"{usd(api.zero_saved)} this month, compared with one replica all the time"
    return lines


def possible_costs(specs: Sequence[ApiSpec], rates: ResourceRatesView) -> Iterator[str]:
    """Yield what each API may cost at its fewest and at its most replicas."""
    from gyrus.spec.replicated import ReplicatedSpec

    for spec in specs:
        if not isinstance(spec, ReplicatedSpec):
            continue
        compute = spec.workload(None).compute
        memory = (compute.mem or 0) / 2**30
        each = compute.cpu * rates.core + memory * rates.gib + compute.gpu * rates.gpu
        scaling = spec.scaling.settings if spec.scaling else None
        fewest, most = (
            (scaling.min_replicas, scaling.max_replicas) if scaling else (spec.initial_replicas,) * 2
        )
        span = usd(fewest * each) if fewest == most else f"{usd(fewest * each)} to {usd(most * each)}"
        yield f"{spec.name} may cost {span} an hour ({_replicas(fewest, most)}, {usd(each)} each)"


def _replicas(fewest: int, most: int) -> str:
    return counted(most, "replica") if fewest == most else f"{fewest} to {most} replicas"


def _api_row(api: ApiCostView) -> tuple[str, ...]:
    per_1000 = UNKNOWN if api.per_1000_requests is None else usd(api.per_1000_requests)
    idle = UNKNOWN if api.idle_share is None else f"{api.idle_share:.0%}"
    saved = api.spot_saved + api.zero_saved
    return (*_part_row(api.name, api.cost)[:5], per_1000, idle, usd(saved) if saved else UNKNOWN)


def _part_row(name: str, part: PartCostView) -> tuple[str, ...]:
    return name, usd(part.per_hour), usd(part.today), usd(part.month), usd(part.forecast), "", "", ""


def _notes(costs: CostView) -> Iterator[str]:
    """Yield what a reader must know about the figures."""
    if costs.since:
        yield f"Days and months are those of UTC. Metered since {_shown(costs.since)}."
    if 0 < costs.history < LITTLE_HISTORY:
        yield f"The forecast rests on {duration(costs.history)} of history, and is rough."
    if costs.unmetered >= 1:
        yield f"Not in the bill: {duration(costs.unmetered)} of this month in which no operator ran."
    if costs.unpriced:
        machines = ", ".join(costs.unpriced[:3]) + (", …" if len(costs.unpriced) > 3 else "")
        yield f"Not in the bill: {counted(len(costs.unpriced), 'machine')} without a price ({machines})."
    if costs.known and costs.remedy:
        yield f"No machine has a price now. {costs.remedy}"


def _shown(time: str) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"
