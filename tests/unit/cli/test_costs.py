"""Costs as text."""

from __future__ import annotations

import click

from gyrus.cli.costs import drawn_cost, drawn_costs, possible_costs
from gyrus.contract.costs import ApiCostView, CostView, PartCostView, ResourceRatesView
from support.world import spec


def part(month: float) -> PartCostView:
    return PartCostView(today=month / 10, month=month, per_hour=month / 100, forecast=month * 2)


def api(name: str = "iris", requests: int = 2000, spot: float = 0.0, zero: float = 0.0) -> ApiCostView:
    return ApiCostView(
        name=name,
        cost=part(10),
        requests=requests,
        per_1000_requests=5.0 if requests else None,
        idle_share=0.25 if requests else None,
        spot_saved=spot,
        zero_saved=zero,
    )


def costs(
    *apis: ApiCostView, history: float = 1e6, unmetered: float = 0, unpriced: tuple[str, ...] = ()
) -> CostView:
    return CostView(
        known=True,
        time="2026-11-28T13:00:00.000Z",
        since="2026-11-01T00:00:00.000Z",
        bill=part(50),
        apis=apis,
        idle=part(30),
        shared={"EKS control plane": part(10)},
        unmetered=unmetered,
        unpriced=unpriced,
        history=history,
    )


def test_all_costs_are_a_table_with_the_bill() -> None:
    text = click.unstyle(drawn_costs(costs(api(spot=1, zero=0.5), api("text", requests=0))))
    assert text.splitlines() == [
        "                   PER HOUR  TODAY   MONTH  FORECAST  PER 1,000  IDLE  SAVED",
        "iris                  $0.10  $1.00  $10.00    $20.00      $5.00   25%  $1.50",
        "text                  $0.10  $1.00  $10.00    $20.00          -     -      -",
        "idle capacity         $0.30  $3.00  $30.00    $60.00",
        "EKS control plane     $0.10  $1.00  $10.00    $20.00",
        "total                 $0.50  $5.00  $50.00   $100.00",
        "",
        "Days and months are those of UTC. Metered since 2026-11-01 00:00.",
    ]


def test_what_the_bill_lacks_is_listed() -> None:
    text = click.unstyle(drawn_costs(costs(history=3600, unmetered=7200, unpriced=("a", "b", "c", "d"))))
    assert text.splitlines()[-3:] == [
        "The forecast rests on 1h of history, and is rough.",
        "Not in the bill: 2h of this month in which no operator ran.",
        "Not in the bill: 4 machines without a price (a, b, c, …).",
    ]


def test_one_api_has_a_line_for_each_figure() -> None:
    one = api(spot=1, zero=0.5)
    assert click.unstyle(drawn_cost(one, costs(one))).splitlines()[:9] == [
        "iris",
        "  per hour           $0.10",
        "  today              $1.00",
        "  this month         $10.00, 2,000 requests",
        "  forecast           $20.00 for the whole month",
        "  per 1,000 requests $5.00",
        "  idle               25% of this month's costs, for slots that no request used",
        "  saved by spot      $1.00 this month, compared with on demand",
        "  saved at zero      $0.50 this month, compared with one replica all the time",
    ]


def test_a_specification_costs_from_its_fewest_to_its_most_replicas() -> None:
    rates = ResourceRatesView(core=0.1, gib=0.01, gpu=1)
    wide = spec(compute={"cpu": 2, "mem": "4Gi"}, autoscaling={"min_replicas": 0, "max_replicas": 10})
    fixed = spec(name="one", compute={"cpu": 1}, autoscaling={"min_replicas": 1, "max_replicas": 1})
    assert list(possible_costs([wide, fixed], rates)) == [
        "iris may cost $0.00 to $2.40 an hour (0 to 10 replicas, $0.24 each)",
        "one may cost $0.10 an hour (1 replica, $0.10 each)",
    ]
