"""The addresses under which a Service is reached. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gyrus.cluster.fields import entries
from gyrus.contract.cluster import HTTPS
from gyrus.kubernetes.resources import Manifest, name_of


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """A host and a port, or the reason why there is none."""

    host: str
    port: int
    outside: bool
    """True if clients outside the cluster reach it."""
    missing: str = ""
    exists: bool = True
    """False if there is no such Service."""
    secured: bool = False
    """True if the port is one of HTTPS by its name."""

    @property
    def scheme(self) -> str:
        return "https" if self.secured else "http"

    @property
    def endpoints(self) -> str:
        """The base URL of the APIs, if this is the address of the gateways."""
        return self.url(self.scheme)

    def url(self, scheme: str) -> str:
        """Return the URL, without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[scheme]
        return f"{scheme}://{host}" if self.port == usual else f"{scheme}://{host}:{self.port}"


def address_of(service: Manifest, nodes: Iterable[Manifest]) -> ServiceAddress:
    """Return the address of a Service's first port, by the type of the Service."""
    first = service["spec"]["ports"][0]
    found = _address(service, first, nodes)
    return replace(found, secured=first.get("name") == HTTPS)


def _address(service: Manifest, first: Mapping[str, Any], nodes: Iterable[Manifest]) -> ServiceAddress:
    spec = service["spec"]
    match spec.get("type", "ClusterIP"):
        case "LoadBalancer":
            return _balanced(service, first)
        case "NodePort":
            host = next((host for node in nodes if (host := _node_host(node))), "")
            missing = "" if host else "no node has an address"
            return ServiceAddress(host, int(first.get("nodePort", 0)), True, missing)
        case _:
            return ServiceAddress(spec.get("clusterIP", ""), int(first["port"]), False)


def _balanced(service: Manifest, port: Mapping[str, Any]) -> ServiceAddress:
    given = entries(service, "status", "loadBalancer", "ingress")
    host: str = next((entry.get("hostname") or entry.get("ip") or "" for entry in given), "")
    missing = "" if host else f"the Service {name_of(service)} waits for the address of its load balancer"
    return ServiceAddress(host, int(port["port"]), True, missing)


def _node_host(node: Manifest) -> str:
    """Return a node's external address, else its internal one."""
    addresses = reversed(entries(node, "status", "addresses"))  # the first of a type counts
    by_type: dict[str, str] = {entry["type"]: entry["address"] for entry in addresses}
    return by_type.get("ExternalIP") or by_type.get("InternalIP") or ""
