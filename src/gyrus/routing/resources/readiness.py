"""The port of a gateway's pod for Kubernetes and Prometheus (bootstrap).

It forwards these paths to Envoy's admin interface, which has others that end or change Envoy.
"""

from __future__ import annotations

from pathlib import Path

from gyrus.contract.cluster import ADMIN_METRICS, ANY_HOST
from gyrus.routing.resources.kinds import Json, extension
from gyrus.routing.resources.listener import MANAGER, router

NAME = "gyrus.readiness"
PATHS = ("/ready", "/stats", ADMIN_METRICS)


def readiness(admin: Path, port: int, clusters: list[Json]) -> Json:
    """Build the listener, and these clusters with that of the admin socket."""
    host = {"endpoint": {"address": {"pipe": {"path": str(admin)}}}}
    own = {
        "name": NAME,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": NAME, "endpoints": [{"lb_endpoints": [host]}]},
    }
    routes = [{"match": {"path": path}, "route": {"cluster": NAME}} for path in PATHS]
    manager = extension(
        NAME,
        MANAGER,
        stat_prefix=NAME,
        route_config={"name": NAME, "virtual_hosts": [{"name": NAME, "domains": ["*"], "routes": routes}]},
        http_filters=[router()],
    )
    listener: Json = {
        "name": NAME,
        "address": {"socket_address": {"address": ANY_HOST, "port_value": port}},
        "filter_chains": [{"filters": [manager]}],
        "ignore_global_conn_limit": True,
    }
    return {"clusters": [*clusters, own], "listeners": [listener]}
