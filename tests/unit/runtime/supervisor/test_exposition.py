"""The metrics of several processes in one text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from gyrus.runtime.supervisor.exposition import combined
from gyrus.runtime.telemetry.metrics import Metrics


def counted(*statuses: int) -> str:
    metrics = Metrics()
    for status in statuses:
        metrics.tally(status, 0.002)
    return metrics.exposition({"queued": ("Waiting.", 2.0)}).decode()


def test_each_sample_has_the_labels_of_its_process() -> None:
    text = combined({0: counted(200, 200), 1: counted(503)}, {"api": "iris", "revision": "3"})
    block = text.split("# HELP")[1]
    assert block.splitlines() == [
        " gyrus_replica_requests_total Answers by status.",
        "# TYPE gyrus_replica_requests_total counter",
        'gyrus_replica_requests_total{api="iris",revision="3",process="0",code="200"} 2',
        'gyrus_replica_requests_total{api="iris",revision="3",process="1",code="503"} 1',
    ]
    assert 'gyrus_replica_queued{api="iris",revision="3",process="1"} 2.0' in text
    assert text.count("# TYPE gyrus_replica_request_duration_seconds histogram") == 1


def test_without_an_answer_there_is_no_text() -> None:
    assert combined({}, {"api": "iris"}) == ""


@given(
    st.dictionaries(st.integers(0, 5), st.lists(st.integers(200, 504), max_size=4), max_size=3),
    st.text(
        st.characters(codec="utf-8", exclude_characters="\r\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e"), max_size=9
    ),
)
def test_prometheus_reads_it(statuses: dict[int, list[int]], api: str) -> None:
    text = combined({index: counted(*found) for index, found in statuses.items()}, {"api": api})
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    total = sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "gyrus_replica_requests_total" and sample.labels["api"] == api
    )
    assert total == sum(map(len, statuses.values()))
