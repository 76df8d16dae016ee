"""The dashboard and the alarms of a cluster."""

from __future__ import annotations

import json

import pytest

from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.alarms import alarms
from gyrus.cluster.aws.cloudwatch.dashboard import dashboard_body

KNOWN = {own.name for own in (*metric.API_METRICS, *metric.CLUSTER_METRICS)}


@pytest.mark.parametrize("apis", [None, ["iris", "wine"]])
def test_widgets_do_not_overlap_and_fit(apis: list[str] | None) -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard_body("models", "eu-west-1", apis)["widgets"]:
        columns = range(widget["x"], widget["x"] + widget["width"])
        rows = range(widget["y"], widget["y"] + widget["height"])
        cells = {(column, row) for column in columns for row in rows}
        assert max(columns) < 24
        assert not cells & taken
        taken |= cells


def test_the_apis_that_are_named_are_shown() -> None:
    body = json.dumps(dashboard_body("models", "eu-west-1", ["iris"]))
    assert '["gyrus/models", "Requests", "api", "iris", {"stat": "Sum"}]' in body
    assert "SEARCH" not in body


def test_without_names_all_apis_are_searched_for() -> None:
    body = json.dumps(dashboard_body("models", "eu-west-1"))
    assert "SEARCH('{gyrus/models,api} MetricName=\\\"Requests\\\"', 'Sum')" in body
    assert "SOURCE '/gyrus/models'" in body


def test_each_alarm_watches_a_metric_that_is_sent() -> None:
    found = {alarm.id: alarm.properties for alarm in alarms("models")}
    assert all(each["Namespace"] == "gyrus/models" for each in found.values())
    assert {each["MetricName"] for each in found.values()} <= KNOWN
    missing = {id: each["TreatMissingData"] for id, each in found.items()}
    assert [id for id, each in missing.items() if each == "breaching"] == ["OperatorAlarm"]
    assert found["OperatorAlarm"]["AlarmName"] == "gyrus-models-Operator"
    assert found["OperatorAlarm"]["ComparisonOperator"] == "LessThanThreshold"
    assert found["ErrorAlarm"]["ComparisonOperator"] == "GreaterThanThreshold"
