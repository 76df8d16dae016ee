"""The alarms on the health of a cluster, as properties of CloudFormation. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from gyrus.cluster.aws import resource_names as names
from gyrus.cluster.aws.cloudwatch import metric
from gyrus.cluster.aws.cloudwatch.metric import MetricName

MissingData = Literal["breaching", "notBreaching"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAlarm:
    """An alarm, as the resource ``AWS::CloudWatch::Alarm`` of a template."""

    id: str
    """Its name in a template."""
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """The condition of an alarm."""

    id: str
    meaning: str
    metric: MetricName
    statistic: str
    above: float | None = None
    below: float | None = None
    minutes: int = 5
    missing: MissingData = "notBreaching"


_RULES = (
    _Rule(
        id="OperatorAlarm",
        meaning="No operator leads: nothing is deployed, scaled or replaced. Requests are still answered.",
        metric=metric.HEARTBEAT,
        statistic="Maximum",
        below=1,
        missing="breaching",
    ),
    _Rule(
        id="GatewayAlarm",
        meaning="No gateway serves its configuration: requests are not answered.",
        metric=metric.GATEWAY,
        statistic="Minimum",
        below=1,
        minutes=3,
    ),
    _Rule(
        id="ErrorAlarm",
        meaning="More than 5 % of all answers have been 5XX, for five minutes.",
        metric=metric.ERROR_SHARE,
        statistic="Average",
        above=5,
    ),
    _Rule(
        id="WaitingAlarm",
        meaning="Requests have waited for a replica for two minutes.",
        metric=metric.OLDEST_HELD,
        statistic="Maximum",
        above=120,
        minutes=2,
    ),
    _Rule(
        id="StartAlarm",
        meaning="Replicas of an API fail to start. See: gyrus describe NAME",
        metric=metric.FAILED_STARTS,
        statistic="Minimum",
        above=0,
        minutes=10,
    ),
    _Rule(
        id="DroppedLinesAlarm",
        meaning="Lines of the log did not reach CloudWatch. The operator's log has their number by stream.",
        metric=metric.DROPPED_LINES,
        statistic="Sum",
        above=0,
        minutes=1,
    ),
)


def alarms(cluster_name: str) -> list[HealthAlarm]:
    """Return the alarms of a cluster. They notify no topic until the user adds one."""
    return [_alarm(cluster_name, rule) for rule in _RULES]


def alarm_prefix(cluster: str) -> str:
    """Return what the names of a cluster's alarms begin with."""
    return f"gyrus-{cluster}-"


def _alarm(cluster: str, rule: _Rule) -> HealthAlarm:
    threshold, comparison = (
        (rule.below, "LessThanThreshold") if rule.above is None else (rule.above, "GreaterThanThreshold")
    )
    return HealthAlarm(
        id=rule.id,
        properties={
            **_named(cluster, rule.id, rule.meaning),
            "Namespace": names.metrics_namespace(cluster),
            "MetricName": rule.metric.name,
            "Statistic": rule.statistic,
            "Period": metric.PERIOD,
            "EvaluationPeriods": rule.minutes,
            "Threshold": threshold,
            "ComparisonOperator": comparison,
            "TreatMissingData": rule.missing,
        },
    )


def _named(cluster: str, id: str, meaning: str) -> dict[str, Any]:
    return {"AlarmName": alarm_prefix(cluster) + id.removesuffix("Alarm"), "AlarmDescription": meaning}
