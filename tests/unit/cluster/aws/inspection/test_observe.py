"""The readings: a failure of one hides nothing else, and credentials that are of no use end all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gyrus.cluster.aws.calls import Answer
from gyrus.cluster.aws.cluster_stacks import FoundStacks
from gyrus.cluster.aws.eks import EksCluster
from gyrus.cluster.aws.errors import AwsCredentialsRefused, AwsDenied, AwsError, AwsNotFound
from gyrus.cluster.aws.inspection.facts import KubernetesFacts, QueueState, UnreadPart
from gyrus.cluster.aws.inspection.observe import ClusterObserver
from gyrus.cluster.aws.stacks import Stacks
from gyrus.kubernetes.errors import KubernetesError
from support.aws.cluster_facts import ACCOUNT, HEALTHY, NOW, cluster

EMPTY: Mapping[str, Answer] = {
    "get_caller_identity": {"Account": ACCOUNT},
    "describe_cluster": {"cluster": {"status": "ACTIVE", "endpoint": "https://k8s.example.com"}},
    "describe_addon": {"addon": {"status": "ACTIVE"}},
    "get_queue_url": {"QueueUrl": "https://sqs/gyrus-vision"},
    "get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "3"}},
    "get_metric_statistics": {
        "Datapoints": [
            {"Timestamp": NOW, "Maximum": 40.0},
            {"Timestamp": NOW.replace(hour=11), "Maximum": 900.0},
        ]
    },
    "describe_stacks": {"Stacks": []},
}


@dataclass
class Account:
    """Answers calls by their operation; other operations find nothing."""

    answers: Mapping[str, Answer] = field(default_factory=lambda: EMPTY)
    failures: Mapping[str, AwsError] = field(default_factory=dict[str, AwsError])

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer:
        if failure := self.failures.get(operation):
            raise failure
        return self.answers.get(operation, {})

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        return (await self.call(service, operation, **arguments)).get(key, [])


async def reached(_: EksCluster) -> KubernetesFacts:
    assert isinstance(HEALTHY.kubernetes, KubernetesFacts)
    return HEALTHY.kubernetes


async def unreached(_: EksCluster) -> KubernetesFacts:
    raise KubernetesError("The cluster does not answer.")


def observer(account: Account, kubernetes: Any = reached) -> ClusterObserver:
    return ClusterObserver(account, Stacks(account), cluster(), kubernetes)


async def test_everything_is_read() -> None:
    found = await observer(Account()).observe(NOW)
    assert found.stacks == FoundStacks(None, {})
    assert isinstance(found.eks, EksCluster)
    assert found.queue == QueueState(url="https://sqs/gyrus-vision", messages=3, oldest_seconds=40.0)
    assert (found.bucket, found.log_group, found.kubernetes) == (True, False, HEALTHY.kubernetes)


async def test_parts_that_do_not_exist() -> None:
    missing = AwsNotFound("s", "o", "404", "no")
    operations = ("describe_cluster", "describe_addon", "get_queue_url", "head_bucket")
    found = await observer(Account(failures=dict.fromkeys(operations, missing))).observe(NOW)
    assert (found.eks, found.add_ons, found.queue, found.bucket) == (None, {}, None, False)
    assert found.kubernetes == UnreadPart("There is no EKS cluster.", "Create it with: gyrus cluster up")


@pytest.mark.parametrize(
    ("operation", "part"),
    [
        ("describe_stacks", "stacks"),
        ("describe_cluster", "eks"),
        ("describe_addon", "add_ons"),
        ("describe_auto_scaling_groups", "scaling"),
        ("describe_load_balancers", "balancers"),
        ("get_queue_attributes", "queue"),
        ("head_bucket", "bucket"),
        ("describe_log_groups", "log_group"),
    ],
)
async def test_a_part_that_is_denied_hides_no_other(operation: str, part: str) -> None:
    denied = AwsDenied(f"s:{operation}", "not authorized")
    found = await observer(Account(failures={operation: denied})).observe(NOW)
    unread = {name for name in found.__slots__ if isinstance(getattr(found, name), UnreadPart)}
    assert unread == {part, "kubernetes"} if part == "eks" else {part}
    assert getattr(found, part) == UnreadPart(denied.message, denied.remedy)


async def test_a_measurement_that_is_denied_is_left_out() -> None:
    denied = AwsDenied("cloudwatch:GetMetricStatistics", "no")
    found = await observer(Account(failures={"get_metric_statistics": denied})).observe(NOW)
    assert isinstance(found.queue, QueueState)
    assert found.queue.oldest_seconds is None


async def test_kubernetes_that_does_not_answer() -> None:
    found = await observer(Account(), unreached).observe(NOW)
    assert found.kubernetes == UnreadPart("The cluster does not answer.")


async def test_a_control_plane_without_an_address() -> None:
    answers = {**EMPTY, "describe_cluster": {"cluster": {"status": "CREATING"}}}
    found = await observer(Account(answers)).observe(NOW)
    assert found.kubernetes == UnreadPart("The control plane is CREATING, and has no address.", "Wait for it")


async def test_credentials_that_are_refused() -> None:
    refused = AwsCredentialsRefused("expired")
    with pytest.raises(AwsCredentialsRefused):
        await observer(Account(failures={"get_caller_identity": refused})).observe(NOW)
    with pytest.raises(ExceptionGroup) as caught:
        await observer(Account(failures={"head_bucket": refused})).observe(NOW)
    assert caught.value.exceptions == (refused,)
