"""Hosts and origins that the gateway answers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from gyrus.routing.resources import origins, routes
from gyrus.routing.settings import GatewaySettings
from gyrus.spec.cors import Cors
from support.routes import route_to

SETTINGS = GatewaySettings(port=8080)
EXTRA = replace(SETTINGS, hosts=("models.example.com",))
ROUTE = route_to("iris", {"unix:/a"})
CORS = Cors.model_validate({"origins": ["https://app.example.com", "https://*.shop.example:8443"]})


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST:1", "iris.localhost:8080", "localhost.", "127.0.0.1:8080",
     "127.1.2.3", "[::1]:8080", "[0000:0000:0000:0000:0000:0000:0000:0001]"],
)  # fmt: skip
def test_loopback_hosts_are_answered(host: str) -> None:
    assert re.fullmatch(origins.host_expression(SETTINGS), host)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
     "10.0.0.1", "[::2]", "", "localhost:8080.evil.example", "models.example.com", "localhost@evil.example"],
)  # fmt: skip
def test_other_hosts_are_not(host: str) -> None:
    assert not re.fullmatch(origins.host_expression(SETTINGS), host)


def test_further_hosts_are_answered_as_they_are_written() -> None:
    expression = origins.host_expression(EXTRA)
    assert re.fullmatch(expression, "models.example.com:443")
    assert not re.fullmatch(expression, "models-example.com")
    assert not re.fullmatch(expression, "a.models.example.com")


@pytest.mark.parametrize(
    ("origin", "cors", "allowed"),
    [
        ("http://localhost:8080", None, True),
        ("http://127.0.0.1:8080", None, True),
        ("http://localhost:3000", None, False),
        ("http://localhost", None, False),
        ("null", None, False),
        ("https://app.example.com", None, False),
        ("https://app.example.com", CORS, True),
        ("http://app.example.com", CORS, False),
        ("https://app.example.com:444", CORS, False),
        ("https://app.example.com.evil.example", CORS, False),
        ("https://evilapp.example.com", CORS, False),
        ("https://appXexample.com", CORS, False),
        ("https://a.b.shop.example:8443", CORS, True),
        ("https://shop.example:8443", CORS, False),
        ("https://a.shop.example", CORS, False),
    ],
)
def test_origins_of_the_gateway_and_of_the_policy_are_allowed(
    origin: str, cors: Cors | None, allowed: bool
) -> None:
    expressions = origins.origin_expressions(SETTINGS, cors)
    assert any(re.fullmatch(expression, origin) for expression in expressions) is allowed


def refused(settings: GatewaySettings = SETTINGS, cors: Cors | None = None) -> list[Any]:
    entry = routes.entry(replace(ROUTE, cors=cors), settings)
    found = entry["action"]["typed_config"]["routes"]
    return [one for one in found if one.get("direct_response", {}).get("status") == 403]


def test_refusals_come_before_the_routes_that_forward() -> None:
    found = routes.entry(ROUTE, SETTINGS)["action"]["typed_config"]["routes"]
    kinds = ["refuse" if "direct_response" in one else "forward" for one in found if one.get("name")]
    assert kinds == ["refuse"] * 2 + ["forward"] * 4


def test_a_policy_for_every_origin_refuses_none() -> None:
    assert refused()
    assert not refused(cors=Cors(origins=("*",)))


def test_a_gateway_for_other_machines_does_not_know_its_own_hosts() -> None:
    public = replace(SETTINGS, address="0.0.0.0")
    assert not refused(public)
    assert origins.guards(public) == []
    assert origins.guards(replace(SETTINGS, address="::1"))


def test_each_route_that_forwards_has_the_policy() -> None:
    entry = routes.entry(replace(ROUTE, cors=CORS), SETTINGS)
    forwarding = [one for one in entry["action"]["typed_config"]["routes"] if "route" in one]
    assert len(forwarding) == 4
    for one in forwarding:
        config = one["typed_per_filter_config"][origins.CORS_FILTER]
        assert (config["max_age"], config["allow_credentials"]) == ("600", False)
