"""A gateway that does not answer holds up rollouts for a bounded time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.routing.silent_gateways import GIVEN_UP_AFTER, GatewayPod, SilentGateways

READY, SILENT = GatewayPod(ready=True), GatewayPod(ready=False)


def test_it_is_given_up_after_long_enough_without_a_sign_of_life() -> None:
    gateways = SilentGateways()
    assert gateways.given_up(100.0, {"a"}, (), {"a": SILENT}) == frozenset()
    assert gateways.given_up(100.0 + GIVEN_UP_AFTER - 0.1, {"a"}, (), {"a": SILENT}) == frozenset()
    assert gateways.given_up(100.0 + GIVEN_UP_AFTER, {"a"}, (), {"a": SILENT}) == {"a"}
    assert gateways.given_up(100.0 + GIVEN_UP_AFTER, (), (), {"a": SILENT}) == frozenset()


def test_a_sign_of_life_begins_the_time_again() -> None:
    gateways = SilentGateways()
    gateways.given_up(0.0, {"a"}, (), {"a": SILENT})
    gateways.given_up(GIVEN_UP_AFTER - 1, {"a"}, {"a"}, {"a": SILENT})
    assert gateways.given_up(GIVEN_UP_AFTER + 1, {"a"}, (), {"a": SILENT}) == frozenset()


@given(connected=st.booleans(), ready=st.booleans(), exists=st.booleans(), times=st.lists(st.floats(0, 1e6)))
def test_only_what_is_neither_connected_nor_ready_is_given_up(
    connected: bool, ready: bool, exists: bool, times: list[float]
) -> None:
    gateways = SilentGateways()
    pods = {"a": GatewayPod(ready=ready)} if exists else {}
    found = [gateways.given_up(now, {"a"}, ["a"] if connected else (), pods) for now in sorted(times)]
    if connected or ready or not exists:
        assert not any(found)
    elif times:
        assert bool(found[-1]) == (max(times) - min(times) >= GIVEN_UP_AFTER)
