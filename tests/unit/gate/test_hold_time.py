"""The time until which a request is held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.gate.hold_time import hold_end

seconds = st.floats(0, 1e5)


@given(waited=seconds, hold=seconds, timeout=seconds)
def test_hold_ends_with_the_timeout_at_the_latest(waited: float, hold: float, timeout: float) -> None:
    now = 1.8e9
    limit = hold_end(arrived=now - waited, now=now, hold=hold, timeout=timeout)
    assert limit.at <= now - waited + timeout
    assert limit.at <= now + hold
    assert limit.is_timeout == (limit.at == now - waited + timeout)


def test_without_max_hold_the_timeout_ends_the_hold() -> None:
    assert hold_end(arrived=5.0, now=5.0, hold=60.0, timeout=60.0).is_timeout


def test_request_of_a_replica_that_died_is_held_again() -> None:
    limit = hold_end(arrived=0.0, now=20.0, hold=10.0, timeout=60.0)
    assert (limit.at, limit.is_timeout) == (30.0, False)
