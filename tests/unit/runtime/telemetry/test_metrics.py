from __future__ import annotations

from gyrus.runtime.telemetry.metrics import Metrics


def test_the_exposition() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.0004), (200, 0.02), (500, 100.0)):
        metrics.tally(status, seconds)
    text = metrics.exposition({"queued": ("Waiting.", 3.0)}).decode()
    lines = text.splitlines()
    assert 'gyrus_replica_requests_total{code="200"} 2' in lines
    assert 'gyrus_replica_requests_total{code="500"} 1' in lines
    assert 'gyrus_replica_request_duration_seconds_bucket{le="0.001"} 1' in lines
    assert 'gyrus_replica_request_duration_seconds_bucket{le="0.025"} 2' in lines
    assert 'gyrus_replica_request_duration_seconds_bucket{le="60.0"} 2' in lines
    assert 'gyrus_replica_request_duration_seconds_bucket{le="+Inf"} 3' in lines
    assert "gyrus_replica_request_duration_seconds_count 3" in lines
    assert "gyrus_replica_queued 3.0" in lines
    assert text.endswith("\n")
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    typed = {line.split(" ")[2] for line in lines if line.startswith("# TYPE")}
    assert {
        name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in names
    } == typed
