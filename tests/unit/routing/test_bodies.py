"""The gateway's limit of requests with long bodies."""

from __future__ import annotations

import re

import pytest

from gyrus.routing.resources import bodies
from gyrus.routing.settings import MIB, ConnectionLimits, GatewaySettings, body_tiers, memory_for_bodies


@pytest.mark.parametrize(
    ("length", "short"),
    [("0", True), ("99999", True), ("100000", False), ("0000000099", True), ("00100000", False),
     ("12582912", False), ("1e9", False), ("", False)],
)  # fmt: skip
def test_lengths_are_compared_by_their_digits(length: str, short: bool) -> None:
    assert bool(re.fullmatch(bodies.shorter_than(100_000), length)) is short


def test_tiers_share_the_memory() -> None:
    large, medium = body_tiers(1024 * MIB, 12 * MIB)
    assert large.least > medium.least, "the first match wins"
    assert large.most * large.kept + medium.most * medium.kept <= 1024 * MIB
    assert (large.most, medium.most) == (42, 512)


def test_a_small_machine_serves_some_long_bodies() -> None:
    assert all(tier.most >= 4 for tier in body_tiers(memory_for_bodies(MIB), 12 * MIB))


def test_each_tier_has_a_cluster_with_its_limit_and_a_guard() -> None:
    settings = GatewaySettings()
    clusters = bodies.clusters(settings, "unix:/run/bodies.sock")
    limits = {one["name"]: one["circuit_breakers"]["thresholds"][0]["max_requests"] for one in clusters}
    assert limits == {bodies.name_of(tier): tier.most for tier in settings.tiers}
    [guard] = bodies.guards(settings)
    by_length = guard["on_match"]["matcher"]
    tiers = [*(one["on_match"] for one in by_length["matcher_list"]["matchers"]), by_length["on_no_match"]]
    routed = [
        route["route"]["cluster"] for tier in tiers for route in tier["action"]["typed_config"]["routes"]
    ]
    assert routed == list(limits)


@pytest.mark.parametrize(("files", "most"), [(20_000, 15_000), (1024, 768), (256, 64)])
def test_connections_leave_a_reserve_of_files(files: int, most: int) -> None:
    assert ConnectionLimits.within(files).most == most
