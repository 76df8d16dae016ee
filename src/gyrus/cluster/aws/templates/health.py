"""The cluster's dashboard and alarms. Pure."""

from __future__ import annotations

import json

from gyrus.cluster.aws.cloudwatch.alarms import alarms
from gyrus.cluster.aws.cloudwatch.dashboard import dashboard_body, dashboard_name
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.resource_names import cluster_tags
from gyrus.cluster.aws.templates.document import StackResource, resource, tag_list

DASHBOARD = "Dashboard"


def health(spec: ClusterSpec) -> dict[str, StackResource]:
    """Return the dashboard and the alarms. Nothing with cloudwatch: false."""
    if not spec.cloudwatch:
        return {}
    body = json.dumps(dashboard_body(spec.cluster_name, spec.region), separators=(",", ":"))
    tags = tag_list(cluster_tags(spec))
    dashboard = {"DashboardName": dashboard_name(spec.cluster_name), "DashboardBody": body, "Tags": tags}
    return {
        DASHBOARD: resource("CloudWatch::Dashboard", dashboard),
        **{
            alarm.id: resource("CloudWatch::Alarm", {**alarm.properties, "Tags": tags})
            for alarm in alarms(spec.cluster_name)
        },
    }
