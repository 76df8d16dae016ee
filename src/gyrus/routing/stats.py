"""What the gateway measures: requests in flight, counts and latencies of each API. Pure readers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gyrus.contract.operator import TrafficView

IN_FLIGHT = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_(active|pending_active)$&type=Gauges&usedonly"
COUNTS = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_[1-5]xx$&type=Counters&usedonly"
LATENCIES = r"/stats?filter=^cluster\.[^.]%2B\.upstream_rq_time$&type=Histograms&usedonly&format=json"

_LINE = re.compile(r"^cluster\.([^.]+)\.upstream_rq_(\w+): (\d+)$", re.MULTILINE)
_QUANTILES = {50.0: "p50", 95.0: "p95", 99.0: "p99"}


def in_flight(text: str) -> dict[str, int]:
    """By API: those that a replica has, and those that wait for a connection."""
    sums: dict[str, int] = {}
    for api, _, value in _LINE.findall(text):
        sums[api] = sums.get(api, 0) + int(value)
    return sums


def counts(text: str) -> dict[str, dict[str, int]]:
    """By API and class of code (``2xx``)."""
    found: dict[str, dict[str, int]] = {}
    for api, code, value in _LINE.findall(text):
        found.setdefault(api, {})[code] = int(value)
    return found


def latencies(document: Any) -> dict[str, dict[str, float]]:
    """By API: the percentiles in milliseconds, since the gateway started."""
    found: dict[str, dict[str, float]] = {}
    for stat in document["stats"]:
        histograms = stat.get("histograms", {})
        quantiles = [_QUANTILES.get(quantile) for quantile in histograms.get("supported_quantiles", ())]
        for computed in histograms.get("computed_quantiles", ()):
            api = computed["name"].split(".")[1]
            values = [value["cumulative"] for value in computed["values"]]
            found[api] = {
                name: value
                for name, value in zip(quantiles, values, strict=True)
                if name and value is not None
            }
    return found


def view(by_code: Mapping[str, int], percentiles: Mapping[str, float]) -> TrafficView:
    return TrafficView(requests=sum(by_code.values()), by_code=dict(by_code), **percentiles)
