"""Policies by name."""

from __future__ import annotations

import pytest

from gyrus.simulator.baselines import COMPARED, PolicyContext, check, make
from gyrus.simulator.engine import Prepared
from gyrus.simulator.figures import of_run
from gyrus.spec.load import loads
from gyrus.spec.realtime import RealtimeSpec
from support.simulations import offered_load, poisson, rules, simulated

YAML = "- {name: chat, kind: RealtimeAPI, handler: {path: handler.py}, autoscaling: {max_replicas: 20}}"
WORK = poisson(4.0, 4000, 1.0, exponential=False)


def situation() -> PolicyContext:
    [spec] = loads(YAML, "test")
    assert isinstance(spec, RealtimeSpec)
    return PolicyContext(spec=spec, offered_load=WORK, startup=1.0)


@pytest.mark.parametrize("name", COMPARED)
def test_each_serves_a_steady_load_with_enough_replicas_and_not_too_many(name: str) -> None:
    run = simulated(WORK, make(name, situation()))
    assert run.replica_seconds > sum(WORK.services)
    assert run.peak_replicas <= 25
    assert 4 <= run.looks[-1].ready <= 20


@pytest.mark.parametrize("name", COMPARED)
def test_each_begins_again(name: str) -> None:
    first, second = (simulated(WORK, make(name, situation())) for _ in range(2))
    assert first.looks == second.looks
    assert of_run(first) == of_run(second)


def test_a_fixed_number_is_there_from_the_beginning() -> None:
    policy = make("fixed:7", situation())
    assert isinstance(policy, Prepared)
    run = simulated(WORK, policy, initial=rules().initial)
    assert {look.ready for look in run.looks} == {7}
    assert run.replica_seconds == pytest.approx(7 * run.ended)


@pytest.mark.parametrize("name", ["", "Gyrus", "fixed", "fixed:", "fixed:-1", "fixed:1.5", "fixed:10001"])
def test_what_is_no_policy(name: str) -> None:
    with pytest.raises(ValueError, match=r"is not a policy|is too many replicas"):
        check(name)


def test_a_schedule_follows_the_trace_s_own_dates() -> None:
    """The trace begins at 18:17 of a Thursday, in UTC."""
    evening = "{cron: '20 19 * * thu', min_replicas: 5, time_zone: Europe/Berlin}"
    schedule = f"schedule: [{{cron: '0 0 * * *', min_replicas: 1}}, {evening}]"
    [spec] = loads(YAML.replace("max_replicas: 20", f"max_replicas: 20, {schedule}"), "test")
    assert isinstance(spec, RealtimeSpec)
    work = offered_load(*[(float(second), 0.01) for second in range(300)], start=1700158620.0)
    run = simulated(work, make("gyrus", PolicyContext(spec=spec, offered_load=work, startup=1.0)))
    assert {look.requested for look in run.looks if look.at < 179} == {1}
    assert {look.requested for look in run.looks if look.at > 182} == {5}
