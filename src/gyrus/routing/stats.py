"""Readers of Envoy's statistics of clusters: requests in flight, counts and latencies. Pure."""

from __future__ import annotations

import re
from typing import Any

from gyrus.routing.latencies import Latencies
from gyrus.routing.traffic import Answered

IN_FLIGHT = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_(active|pending_active)$&type=Gauges&usedonly"
WAITING = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_pending_active$&type=Gauges&usedonly"
COUNTS = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_[1-5]xx$&type=Counters&usedonly"
LATENCIES = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_time$&type=Histograms&usedonly&format=json"

_LINE = re.compile(r"^cluster\.([^.]+)\.upstream_rq_(\w+): (\d+)$", re.MULTILINE)


def in_flight(text: str) -> dict[str, int]:
    """Return the requests by cluster, from the answer to :data:`IN_FLIGHT` or :data:`WAITING`.

    Those at a replica, and those that wait for a connection.
    """
    sums: dict[str, int] = {}
    for cluster, _, value in _LINE.findall(text):
        sums[cluster] = sums.get(cluster, 0) + int(value)
    return sums


def counts(text: str) -> dict[str, dict[str, int]]:
    """Return the answers by cluster and class of code (``2xx``)."""
    found: dict[str, dict[str, int]] = {}
    for cluster, code, value in _LINE.findall(text):
        found.setdefault(cluster, {})[code] = int(value)
    return found


def latencies(document: Any) -> dict[str, tuple[tuple[float, float], ...]]:
    """Return the points of each cluster's distribution since the gateway started: percent, milliseconds."""
    found: dict[str, tuple[tuple[float, float], ...]] = {}
    for stat in document["stats"]:
        histograms = stat.get("histograms", {})
        percents = histograms.get("supported_quantiles", ())
        for computed in histograms.get("computed_quantiles", ()):
            values = (value["cumulative"] for value in computed["values"])
            found[computed["name"].split(".")[1]] = tuple(
                (percent, value) for percent, value in zip(percents, values, strict=True) if value is not None
            )
    return found


def answered(codes: str, times: Any) -> dict[str, Answered]:
    """Return the answered requests by cluster, from the answers to :data:`COUNTS` and :data:`LATENCIES`."""
    points = latencies(times)
    return {
        cluster: Answered(by_code, Latencies(sum(by_code.values()), points.get(cluster, ())))
        for cluster, by_code in counts(codes).items()
    }
