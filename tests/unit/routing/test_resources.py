"""Envoy's configuration, where its details decide what clients see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract import problem
from gyrus.contract.home import Home
from gyrus.contract.replica import PRIVATE_HEADERS, REQUEUE_HEADER, Limits
from gyrus.routing.bootstrap import EnvoyFiles, bootstrap, tls_secrets
from gyrus.routing.config_dump import assigned, listening_ports
from gyrus.routing.gateway_pod import gateway_settings
from gyrus.routing.resources import (
    bodies_listener,
    bridge,
    clusters,
    endpoints,
    listener,
    problems,
    routes,
    second_pass,
)
from gyrus.routing.resources.kinds import ENDPOINTS, MATCH, Json
from gyrus.routing.resources.retries import LAST_TRY
from gyrus.routing.settings import (
    HIGHEST_BASE_ID,
    GatewayFiles,
    GatewaySettings,
    TlsAddress,
    TlsFiles,
    UnixAddress,
)
from gyrus.routing.xds.messages import encode, encode_plain
from support.routes import pools_of, route_to

ROUTE = route_to("iris", timeout=60.0)
SETTINGS = GatewaySettings(retries_at="unix:/run/retries.sock", requeue_secret="secret")


def retries(entry: Json) -> list[tuple[Json, set[str]]]:
    """Match and reasons of each forwarding route."""
    found = entry["action"]["typed_config"]["routes"]
    return [
        (one["match"], set(one["route"]["retry_policy"]["retry_on"].split(",")))
        for one in found
        if "route" in one
    ]


def test_only_safe_methods_are_sent_again_after_a_reset() -> None:
    for match, reasons in retries(routes.entry(ROUTE, SETTINGS)):
        assert {"connect-failure", "reset-before-request", "refused-stream", "retriable-headers"} <= reasons
        assert ("reset" in reasons) == ("headers" not in match)


def test_without_a_second_pass_nothing_is_sent_again_that_may_have_begun() -> None:
    assert all("reset" not in reasons for _, reasons in retries(routes.entry(ROUTE, GatewaySettings())))


@pytest.mark.parametrize("runtime_answers", [True, False])
def test_what_may_have_begun_has_two_retries_and_the_runtime_gets_one_more(runtime_answers: bool) -> None:
    pools = pools_of("iris", ["unix:/1"], ["unix:/2"], weights=(7_500, 2_500))
    shares = tuple(
        replace(share, pool=replace(share.pool, runtime_answers=runtime_answers)) for share in pools
    )
    entry = routes.entry(replace(ROUTE, shares=shares, idempotent=True), SETTINGS)
    [action] = [one["route"] for one in entry["action"]["typed_config"]["routes"] if "route" in one][:1]
    specifier = action["inline_cluster_specifier_plugin"]["extension"]["typed_config"]
    groups = [
        {one["cluster_name"]: one["weight"] for one in group["clusters"]}
        for group in specifier["priority_groups"]
    ]
    own, again, last = {"iris/2": 2_500, "iris/1": 7_500}, {second_pass.NAME: 1}, {LAST_TRY: 1}
    assert groups == ([own, again, again, last] if runtime_answers else [own, own, again])
    assert action["retry_policy"]["num_retries"] == len(groups) - 1


def test_passes_inside_the_gateway_do_not_count_as_connections_of_clients() -> None:
    """At the limit of connections, a client's request must still reach its second pass."""
    own = (
        bridge.listener("unix:/a", SETTINGS),
        second_pass.listener("unix:/b", SETTINGS),
        bodies_listener.listener("unix:/c", SETTINGS, None),
    )
    assert [one.get("ignore_global_conn_limit") for one in own] == [True, True, True]
    assert [one["address"]["pipe"]["mode"] for one in own] == [0o600] * 3


def test_envoy_chooses_the_cluster_again_on_each_retry_of_such_a_request() -> None:
    """Field 14 of a retry policy, which the published messages lack."""
    refreshed = b"\x70\x01"
    repeatable = replace(ROUTE, idempotent=True)
    with_it = encode(MATCH, routes.entry(repeatable, SETTINGS)).count(refreshed)
    without = encode(MATCH, routes.entry(repeatable, GatewaySettings())).count(refreshed)
    assert with_it - without == 2  # the path itself, and what is below it


def test_servers_without_the_runtime_have_no_private_headers() -> None:
    def filters(runtime_answers: bool) -> list[str]:
        [options] = clusters.cluster(replace(ROUTE.pools[0], runtime_answers=runtime_answers))[
            "typed_extension_protocol_options"
        ].values()
        return [one["name"] for one in options.get("http_filters", ())]

    assert filters(True) == []
    assert filters(False) == ["gyrus.private_headers", "gyrus.codec"]


def destinations(*weights: int) -> list[Json]:
    """What the forwarding routes of an API with these pools name, the oldest pool's weight first."""
    shares = pools_of("iris", *([["unix:/1"]] * len(weights)), weights=weights)
    entry = routes.entry(replace(ROUTE, shares=shares), GatewaySettings())
    found = [one for one in entry["action"]["typed_config"]["routes"] if "route" in one]
    assert {one["name"] for one in found} == {"iris"}
    return [one["route"] for one in found]


def test_one_pool_is_named_and_several_are_weighed_the_newest_first() -> None:
    assert {action["cluster"] for action in destinations(10_000)} == {"iris/1"}
    assert {action["cluster"] for action in destinations(10_000, 0)} == {"iris/1"}
    for action in destinations(7_500, 2_500):
        assert "cluster" not in action
        assert action["weighted_clusters"]["clusters"] == [
            {"name": "iris/2", "weight": 2_500},
            {"name": "iris/1", "weight": 7_500},
        ]


def test_idempotent_api_is_sent_again_whatever_the_method() -> None:
    idempotent = route_to("iris", timeout=60.0, idempotent=True)
    found = retries(routes.entry(idempotent, SETTINGS))
    assert all("reset" in reasons and "headers" not in match for match, reasons in found)


def test_gateway_closes_idle_connections_before_the_replica() -> None:
    assert Limits().keep_alive - clusters.UPSTREAM_IDLE > 5


def test_streams_are_not_cut_by_a_long_timeout() -> None:
    slow = route_to("iris", timeout=3600.0)
    actions = [
        one["route"]
        for one in routes.entry(slow, GatewaySettings())["action"]["typed_config"]["routes"]
        if "route" in one
    ]
    assert {action["timeout"] for action in actions} == {"0s"}
    assert {action["idle_timeout"] for action in actions} == {"3600.500s"}


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("unix:/run/a.sock", {"pipe": {"path": "/run/a.sock"}}),
        ("127.0.0.1:80", {"socket_address": {"address": "127.0.0.1", "port_value": 80}}),
        ("[::1]:80", {"socket_address": {"address": "::1", "port_value": 80}}),
    ],
)
def test_addresses(endpoint: str, address: Json) -> None:
    assert endpoints.address(endpoint) == address


def test_problem_types_are_the_contract_s() -> None:
    known = {one.type: one for one in vars(problem).values() if isinstance(one, problem.ProblemType)}
    documents: list[Any] = [
        one["body_format_override"] for one in problems.local_replies()["mappers"] if "status_code" in one
    ]
    assert len(documents) > 8
    for document in documents:
        fields = document["json_format"]
        assert document["content_type"] == problem.MEDIA_TYPE
        assert known[fields["type"]].title == fields["title"]
        assert known[fields["type"]].status == fields["status"]


def test_private_headers_are_removed_by_prefix() -> None:
    assert REQUEUE_HEADER.startswith(PRIVATE_HEADERS)


def test_no_access_log_where_none_is_wanted() -> None:
    manager = listener.listener(GatewaySettings(), None)["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["access_log"] == []


ENVOY_FILES = EnvoyFiles(admin=Path("/admin"), bodies=Path("/bodies"), pressure=Path("/pressure"))


def test_homes_are_kept_apart(tmp_path: Any) -> None:
    one, other = (GatewayFiles(Home(tmp_path / name)) for name in ("one", "other"))
    assert one.node != other.node
    assert one.base_id != other.base_id
    assert max(one.base_id, other.base_id) < HIGHEST_BASE_ID
    reported = [
        bootstrap(files.node, ENVOY_FILES, UnixAddress(files.xds_socket), GatewaySettings())
        for files in (one, other)
    ]
    assert reported[0] != reported[1]


def test_bootstrap_shows_a_certificate_where_the_operator_asks_for_one() -> None:
    files = TlsFiles(certificate=Path("/c"), key=Path("/k"), authority=Path("/a"))
    address = TlsAddress(host="10.0.0.1", port=18000, tls=files)
    reported = bootstrap("node", ENVOY_FILES, address, GatewaySettings(), files)
    xds = reported["static_resources"]["clusters"][0]
    context = xds["transport_socket"]["typed_config"]["common_tls_context"]
    own, authority = tls_secrets(ENVOY_FILES, files)
    assert context["tls_certificate_sds_secret_configs"] == [own.reference]
    assert context["combined_validation_context"]["validation_context_sds_secret_config"] == (
        authority.reference
    )
    [resource] = own.document["resources"]
    assert resource["tls_certificate"]["private_key"] == {"filename": "/k"}
    assert resource["tls_certificate"]["watched_directory"] == {"path": "/"}
    [resource] = authority.document["resources"]
    assert resource["validation_context"]["trusted_ca"] == {"filename": "/a"}


def test_a_lost_machine_is_noticed() -> None:
    """A machine that is lost closes no connection: neither to the operator nor to a replica."""
    files = TlsFiles(certificate=Path("/c"), key=Path("/k"), authority=Path("/a"))
    address = TlsAddress(host="10.0.0.1", port=18000, tls=files)
    far = bootstrap("node", ENVOY_FILES, address, GatewaySettings(), files)
    near = bootstrap("node", ENVOY_FILES, UnixAddress(Path("/s")), GatewaySettings())
    for built, asks in ((far, True), (near, False)):
        [options] = built["static_resources"]["clusters"][0]["typed_extension_protocol_options"].values()
        assert ("connection_keepalive" in options["explicit_http_config"]["http2_protocol_options"]) == asks
    assert gateway_settings().across_machines
    [pool] = ROUTE.pools
    assert "tcp_keepalive" in clusters.cluster(pool, across_machines=True)["upstream_connection_options"]
    assert "upstream_connection_options" not in clusters.cluster(pool)


def test_what_an_adopted_envoy_reports() -> None:
    dump = {
        "configs": [
            {
                "endpoint_config": {
                    "cluster_name": "iris",
                    "endpoints": [
                        {
                            "lb_endpoints": [
                                {"endpoint": {"address": endpoints.address("unix:/a.sock")}},
                                {"endpoint": {"address": endpoints.address("127.0.0.1:81")}},
                            ]
                        }
                    ],
                }
            },
            {"endpoint_config": {"cluster_name": "empty"}},
        ]
    }
    assert assigned(dump) == {"iris": frozenset({"unix:/a.sock", "127.0.0.1:81"}), "empty": frozenset()}
    assert assigned({}) == {}
    listeners = {
        "listener_statuses": [
            {"local_address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}}},
            {"local_address": {"pipe": {"path": "/x"}}},
        ]
    }
    assert listening_ports(listeners) == {8080}


def test_assignments_are_encoded_alike_both_ways() -> None:
    for hosts in ((), ("unix:/run/a.0.sock", "127.0.0.1:80", "[::1]:81")):
        value = endpoints.assignment("iris/1", hosts)
        assert encode_plain(ENDPOINTS, value) == encode(ENDPOINTS, value)
