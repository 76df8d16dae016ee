"""What is read from Envoy's statistics."""

from __future__ import annotations

from gyrus.routing import stats


def test_in_flight_are_those_at_replicas_and_those_that_wait() -> None:
    text = (
        "cluster.iris/3.upstream_rq_active: 3\ncluster.iris/3.upstream_rq_pending_active: 2\n"
        "cluster.a-b.upstream_rq_active: 1\n"
    )
    assert stats.in_flight(text) == {"iris/3": 5, "a-b": 1}
    assert stats.in_flight("") == {}


def test_counts_by_class() -> None:
    text = "cluster.iris/3.upstream_rq_2xx: 30\ncluster.iris/3.upstream_rq_5xx: 4\n"
    assert stats.counts(text) == {"iris/3": {"2xx": 30, "5xx": 4}}


def test_latencies_by_their_quantiles() -> None:
    values = [{"interval": None, "cumulative": number} for number in (1.0, 2.0, 3.0, None)]
    histograms = {
        "supported_quantiles": [0.0, 50.0, 95.0, 99.0],
        "computed_quantiles": [{"name": "cluster.iris/3.upstream_rq_time", "values": values}],
    }
    measured = {"stats": [{"histograms": histograms}]}
    assert stats.latencies(measured) == {"iris/3": ((0.0, 1.0), (50.0, 2.0), (95.0, 3.0))}
    [answered] = stats.answered("cluster.iris/3.upstream_rq_2xx: 3\n", measured).values()
    assert (answered.latencies.count, answered.latencies.at(50), answered.latencies.at(99)) == (3, 2.0, None)
    assert stats.latencies({"stats": [{"histograms": {}}]}) == {}
