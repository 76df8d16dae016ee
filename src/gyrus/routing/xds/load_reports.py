"""Envoy's load reporting service (LRS): what each gateway counts, on its stream to the operator.

Source of the protocol: https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/load_stats/v3/lrs.proto. A
report has the requests that are at a host now, and those that ended since the last report. A request that
waits for a connection is not among those at a host: Envoy's own gauge of it is not part of the report.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from gyrus.routing.xds.messages import message_class

SERVICE = "envoy.service.load_stats.v3.LoadReportingService"
METHOD = "StreamLoadStats"
EVERY = 0.5
"""Seconds between two reports of one Envoy."""

_REQUEST = message_class("envoy.service.load_stats.v3.LoadStatsRequest")
_RESPONSE = message_class("envoy.service.load_stats.v3.LoadStatsResponse")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One report of one Envoy."""

    node: str
    in_progress: Mapping[str, int] = field(default_factory=dict[str, int])
    """Requests that are at a host now, by cluster."""


def read_report(data: bytes) -> Any:
    return _REQUEST.FromString(data)


def in_progress(clusters: Iterable[Any]) -> dict[str, int]:
    """Return the requests in progress by cluster: the sums over all localities."""
    return {
        cluster.cluster_name: sum(each.total_requests_in_progress for each in cluster.upstream_locality_stats)
        for cluster in clusters
    }


class LoadReports:
    """The service. It asks each Envoy for reports of all its clusters."""

    def __init__(self, reported: Callable[[LoadReport], None]) -> None:
        """Create the service. ``reported``: called with each report."""
        self._reported = reported

    async def stream(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, bytes]
    ) -> None:
        """Serve one Envoy's stream."""
        first = await anext(aiter(requests), None)  # only the first request has to name the node
        if first is None:
            return
        await context.write(_wanted())
        async for request in requests:
            self._reported(LoadReport(first.node.id, in_progress(request.cluster_stats)))


def _wanted() -> bytes:
    interval = Duration()
    interval.FromMilliseconds(round(EVERY * 1000))
    answer = cast(Any, _RESPONSE)(send_all_clusters=True, load_reporting_interval=interval)
    return answer.SerializeToString()
