"""The spot market: equal seeds, plausible averages."""

from __future__ import annotations

from statistics import mean

from gyrus.simulator.nodes.spot_market import MarketRules, SpotMarket

MONTH = 30 * 86_400.0


def market(seed: int = 1, **rules: float) -> SpotMarket:
    return SpotMarket("cpu", MONTH, MarketRules(**rules), seed)


def test_equal_seeds_give_equal_markets() -> None:
    assert market().shortages == market().shortages != market(2).shortages
    assert market().fate(3, 0.0) == market().fate(3, 0.0) != market().fate(4, 0.0)


def test_prices_wander_around_their_mean() -> None:
    one = market()
    prices = [one.price_share(now) for now in range(0, int(MONTH), 600)]
    assert 0.3 < mean(prices) < 0.4
    assert max(prices) <= 0.95
    assert max(prices) / min(prices) > 1.5


def test_shortages_have_the_expected_share_of_the_time() -> None:
    shortages = market().shortages
    assert 0.05 < sum(one.end - one.start for one in shortages) / MONTH < 0.2
    first = shortages[0]
    assert market().shortage(first.start) == first
    assert market().shortage(first.end) is None
    assert market().shortage(first.start - 1) is None


def test_instances_live_for_the_expected_time() -> None:
    calm = market(available=1e12, lifetime=1000)
    assert 900 < mean(calm.fate(number, 0.0).warned_at for number in range(2000)) < 1100


def test_a_shortage_interrupts_a_share_of_the_instances() -> None:
    one = market(lifetime=1e12, interrupted=0.3)
    first = one.shortages[0].start
    hit = sum(one.fate(number, first - 1).warned_at == first for number in range(1000))
    assert 250 < hit < 350
