"""What is learned of a traffic, and what is foreseen."""

from __future__ import annotations

import random

import pytest

from gyrus.autoscaling.forecast import Forecaster
from gyrus.autoscaling.lead_time_model import ENOUGH, MEMORY, LeadTimeModel
from gyrus.autoscaling.policy import Sample
from gyrus.autoscaling.season import DAY, Season
from gyrus.autoscaling.trend import POINTS, Trend


def test_nothing_is_expected_before_there_is_experience() -> None:
    outlook = LeadTimeModel()
    for second in range(round(ENOUGH) + 8 - 1):
        outlook.learn(second, 3.0, ahead=8)
        assert outlook.expected(3.0) is None
    outlook.learn(round(ENOUGH) + 8, 3.0, ahead=8)
    outlook.learn(round(ENOUGH) + 9, 3.0, ahead=8)
    assert outlook.expected(3.0) is not None
    assert outlook.expected(0.0) is None, "silence is not known yet"


def test_the_first_request_of_a_burst_calls_for_what_bursts_need() -> None:
    """Ten seconds of 12, fifty of nothing."""
    outlook = LeadTimeModel()
    for second in range(1200):
        outlook.learn(second, 12.0 if second % 60 < 10 else 0.0, ahead=5)
    after_some, after_none = outlook.expected(0.5), outlook.expected(0.0)
    assert after_some
    assert after_none
    assert after_some.level(1) > 10
    assert after_none.level(1) < after_some.level(1) / 2


def test_what_is_new_outweighs_what_is_old() -> None:
    outlook = LeadTimeModel()
    for second in range(2 * round(MEMORY)):
        outlook.learn(second, 10.0 if second < MEMORY else 2.0, ahead=8)
    expected = outlook.expected(2.0)
    assert expected
    assert 2.0 < expected.mean < 6.0


def test_a_year_without_a_look_overflows_nothing() -> None:
    outlook = LeadTimeModel()
    for second in range(100):
        outlook.learn(second, 3.0, ahead=8)
    for second in range(100):
        outlook.learn(3e7 + second, 5.0, ahead=8)
    expected = outlook.expected(5.0)
    assert expected
    assert expected.mean == pytest.approx(5.0, abs=0.1)


def test_a_rise_is_a_trend_and_noise_is_none() -> None:
    rising, noisy = Trend(4.0), Trend(4.0)
    chance = random.Random(1)
    for second in range(4 * POINTS + 8):
        rising.add(second, 10 + 0.5 * second + chance.gauss(0, 0.5))
        noisy.add(second, 10 + chance.gauss(0, 3))
    assert rising.slope == pytest.approx(0.5, abs=0.1)
    assert noisy.slope == 0


def sample(now: float, load: float) -> Sample:
    return Sample(now=now, in_flight=load, busy=load, ready=9, requested=9, startup=8.0)


def test_a_rising_load_is_met_where_it_will_be() -> None:
    forecaster = Forecaster()
    for second in range(120):
        load = 10 + 0.5 * second
        forecaster.learn(sample(second, load), load)
    need = forecaster.foresee(sample(120, 70), 70.0, 70.0)
    assert need
    assert need.least >= 70 + 8 * 0.5


def hour(day: float, second: int) -> float:
    """Eight o'clock, to the second, brings 20 instead of 2."""
    return 20.0 if 8 * 3600 <= second < 9 * 3600 else 2.0


def test_a_season_is_known_from_the_second_period_on() -> None:
    season = Season()
    seen: list[float] = []
    for day in range(3):
        for second in range(7 * 3600, 9 * 3600, 5):
            now = day * DAY + second
            if second == 8 * 3600 - 5:
                seen.append(season.change(now, 8.0))
            season.add(now, hour(day, second))
    assert seen == [0.0, 0.0, 18.0]


def test_a_season_calls_for_replicas_only_just_before_and_not_on_a_holiday_s_afternoon() -> None:
    season = Season()
    for day in range(3):
        for second in range(0, 86_400, 10):
            season.add(day * DAY + second, hour(day, second))
    eight = 3 * DAY + 8 * 3600
    assert season.change(eight - 30, 8.0) == 0
    assert season.change(eight - 5, 8.0) == 18.0
    assert season.change(eight + 600, 8.0) == 0
