"""A listener and a route table that serve no requests: Envoy checks routes in them.

The listener opens no port. It exists from the operator's first search for routes that Envoy refuses.
"""

from __future__ import annotations

from gyrus.routing.resources.clusters import ads
from gyrus.routing.resources.kinds import Json, extension
from gyrus.routing.resources.listener import MANAGER, router

NAME = "gyrus.probe"
"""Name of the listener and of its route table."""


def listener() -> Json:
    manager = {
        "stat_prefix": NAME,
        "rds": {"route_config_name": NAME, "config_source": ads()},
        "http_filters": [router()],
    }
    return {
        "name": NAME,
        "bind_to_port": False,
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}},
        "filter_chains": [{"filters": [extension("gyrus.http", MANAGER, **manager)]}],
    }
