"""The gateway's limits: what Envoy reports, and what people read of it."""

from __future__ import annotations

from dataclasses import replace

from gyrus.routing.gateway_load import LimitWatch, load_of
from gyrus.routing.settings import ConnectionLimits, GatewaySettings
from gyrus.state.gateway_load import GatewayLoad, LimitUse

SETTINGS = GatewaySettings(connections=ConnectionLimits(most=1000))
STATISTICS = """\
cluster.gyrus.bodies.large.upstream_rq_active: 7
cluster.gyrus.bodies.large.upstream_rq_active_overflow: 3
http.gyrus.downstream_cx_active: 120
listener.127.0.0.1_8080.downstream_global_cx_overflow: 5
overload.envoy.overload_actions.reset_high_memory_stream.count: 2
"""
CALM = GatewayLoad(connections=LimitUse(used=10, most=1000), bodies={"large": LimitUse(used=1, most=4)})


def test_uses_are_read_from_statistics() -> None:
    load = load_of(STATISTICS, SETTINGS)
    assert load.connections == LimitUse(used=120, most=1000, refused=5)
    assert load.bodies["large"] == LimitUse(used=7, most=SETTINGS.tiers[0].most, refused=3)
    assert load.bodies["medium"].used == 0
    assert load.resets == 2


def test_statistics_of_a_gateway_without_requests() -> None:
    assert load_of("", SETTINGS).connections == LimitUse(most=1000)


def test_no_limit_is_reported_while_none_is_reached() -> None:
    watch = LimitWatch()
    assert watch.note(CALM, 0) is None
    assert watch.note(CALM, 1) is None


def test_a_refusal_is_reported_for_some_seconds() -> None:
    watch, full = LimitWatch(), replace(CALM, connections=LimitUse(used=1000, most=1000, refused=1))
    watch.note(CALM, 0)
    limit = watch.note(full, 1)
    assert limit
    assert limit.refusing
    assert "1000" in limit.message
    calm = replace(CALM, connections=replace(CALM.connections, refused=1))
    assert watch.note(calm, 10.9)
    assert watch.note(calm, 11.1) is None


def test_refusals_before_the_first_reading_are_not_news() -> None:
    watch, once = LimitWatch(), replace(CALM, bodies={"large": LimitUse(used=4, most=4, refused=9)})
    assert watch.note(once, 0) is None
    watch.note(CALM, 1)  # another gateway, which counts from zero
    assert (limit := watch.note(once, 2))
    assert "4" in limit.message


def test_many_connections_are_reported_before_any_is_refused() -> None:
    limit = LimitWatch().note(replace(CALM, connections=LimitUse(used=500, most=1000)), 0)
    assert limit
    assert not limit.refusing


def test_resets_are_reported() -> None:
    watch = LimitWatch()
    watch.note(CALM, 0)
    assert (limit := watch.note(replace(CALM, resets=1), 1))
    assert limit.refusing
