"""The addresses of Services of each type."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.cluster.addresses import address_of
from gyrus.kubernetes.resources import Manifest

NODES: list[Manifest] = [
    {"status": {}},
    {
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "Hostname", "address": "node"},
            ]
        }
    },
]


def service(spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "gyrus-gateway"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("spec", "status", "url"),
    [
        ({"clusterIP": "10.1.2.3", "ports": [{"port": 80}]}, {}, "http://10.1.2.3"),
        (
            {"type": "ClusterIP", "clusterIP": "fd00::1", "ports": [{"port": 8080}]},
            {},
            "http://[fd00::1]:8080",
        ),
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}, {}, "http://10.0.0.1:30080"),
        (
            {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
            {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            "http://1.2.3.4",
        ),
        (
            {"type": "LoadBalancer", "ports": [{"port": 8080}]},
            {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}},
            "http://lb.example.com:8080",
        ),
    ],
)
def test_addresses(spec: dict[str, Any], status: dict[str, Any], url: str) -> None:
    assert address_of(service(spec, **status), NODES).url("http") == url


def test_addresses_that_are_not_there_yet() -> None:
    balanced = service({"type": "LoadBalancer", "ports": [{"port": 80}]}, loadBalancer={})
    missing = "the Service gyrus-gateway waits for the address of its load balancer"
    assert address_of(balanced, NODES).missing == missing
    on_nodes = service({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    assert address_of(on_nodes, []).missing == "no node has an address"


def test_the_scheme_of_the_endpoints_is_that_of_the_first_port() -> None:
    ports = [{"name": "https", "port": 443, "nodePort": 30443}, {"name": "http", "port": 80}]
    assert address_of(service({"type": "NodePort", "ports": ports}), NODES).endpoints == (
        "https://10.0.0.1:30443"
    )
    balanced = service(
        {"type": "LoadBalancer", "ports": ports}, loadBalancer={"ingress": [{"ip": "1.2.3.4"}]}
    )
    assert address_of(balanced, NODES).endpoints == "https://1.2.3.4"


def test_an_external_address_of_a_node_comes_first() -> None:
    addresses = [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "ExternalIP", "address": "5.6.7.8"}]
    node = {"status": {"addresses": addresses}}
    found = service({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    assert address_of(found, [node]).host == "5.6.7.8"
