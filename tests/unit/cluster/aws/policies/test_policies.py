"""The policies: least privilege, with a reason for each right."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from typing import Any

from hypothesis import given, settings

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.policies.administrator import administrator_statements
from gyrus.cluster.aws.policies.attached import every_attached_policy
from gyrus.cluster.aws.policies.documents import LARGEST, documents_of, policy_documents
from gyrus.cluster.aws.policies.operator import installed_statements, operator_statements
from gyrus.cluster.aws.policies.statement import PolicyScope, PolicyStatement
from gyrus.cluster.aws.templates.account_facts import AccountFacts
from gyrus.cluster.aws.templates.base_stack import render_base
from gyrus.cluster.aws.templates.group_stack import render_group
from strategies.clusters import cluster_specs
from support.cluster_templates import OWN_SUBNETS, SPOT, cluster, of_type, rights_for

ACTION = re.compile(r"[a-z0-9]+:[A-Z][A-Za-z]*(\*[A-Za-z]*)?")
ARN = re.compile(r"arn:aws:[a-z0-9]+:[a-z0-9-]*:(\*|\d{12}|aws)?:.+")
UNLIMITED = (
    *("ec2:Describe", "elasticloadbalancing:Describe", "servicequotas:", "pricing:", "autoscaling:Describe"),
    *("cloudformation:DescribeStacks", "cloudformation:ListStacks", "cloudwatch:PutMetricData"),
    "cloudwatch:GetMetricStatistics",
    *("eks:ListClusters", "eks:DescribeAddonVersions", "eks:DescribeClusterVersions"),
)
"""The only actions without a resource: those that AWS limits to none, or that only read."""
UNUSED = (
    r"(firehose|kms|managed-fleets|s3tables|vpc-lattice|vpce):.*",
    r"autoscaling:(EnableMetricsCollection|PutNotificationConfiguration)|cloudwatch:PutMetricAlarm",
    r"ec2:(Get\*|AcceptAddressTransfer|AssociateAddress|CreateVpcEncryptionControl)",
    r"ec2:(Attach|Detach)VpnGateway|(elasticloadbalancing:Describe|ssm:Get)\*",
    r"eks:AssociateAccessPolicy|iam:TagInstanceProfile",
    r"logs:(CreateLogDelivery|DeleteDataProtectionPolicy|PutBearerTokenAuthentication)|s3:REST.PUT.OBJECT",
    r"logs:Put(DataProtectionPolicy|IndexPolicy|ResourcePolicy)",
    r"s3:(CreateBucketMetadataTableConfiguration|PutBucket(Abac|CORS|Logging|Notification|Versioning|Website))",
    r"s3:Put(BucketReplication|ObjectAcl|(BucketObjectLock|ObjectLock|Replication)Configuration)",
    r"s3:Put(Accelerate|Analytics|IntelligentTiering|Inventory|Metrics)Configuration",
)
"""Actions for features that the templates do not use."""


def all_statements(spec: ClusterSpec) -> list[PolicyStatement]:
    scope = PolicyScope(spec)
    return [
        *administrator_statements(scope),
        *operator_statements(scope),
        *installed_statements(scope),
    ]


@settings(max_examples=40, deadline=None)
@given(cluster_specs)
def test_each_statement_is_narrow_and_has_a_reason(spec: ClusterSpec) -> None:
    for statement in all_statements(spec):
        assert re.fullmatch(r"[A-Za-z0-9]+", statement.name)
        assert statement.reason.endswith(".")
        assert all(ACTION.fullmatch(action) for action in statement.actions)
        if statement.resources == ("*",):
            assert all(action.startswith(UNLIMITED) for action in statement.actions), statement.name
        else:
            assert all(ARN.fullmatch(name) for name in statement.resources), statement.resources
    for documents in policy_documents(spec).values():
        names = [each["Sid"] for document in documents for each in document["Statement"]]
        assert len(set(names)) == len(names)
        assert all(len(json.dumps(each, separators=(",", ":"))) <= LARGEST for each in documents)


def test_the_operator_has_no_right_over_roles() -> None:
    actions = {action for each in operator_statements(PolicyScope(cluster())) for action in each.actions}
    assert not [
        action for action in actions if action.startswith(("iam:", "sts:", "eks:", "cloudformation:"))
    ]
    assert "autoscaling:TerminateInstanceInAutoScalingGroup" in actions


def test_the_rights_follow_from_the_file() -> None:
    def names(**fields: Any) -> set[str]:
        return {each.name for each in operator_statements(PolicyScope(cluster(**fields)))}

    every = {
        *("ScaleNodeGroups", "ObserveNodeGroups", "ReceiveNotices"),
        *("ListBucket", "UseObjects", "ReadPrices", "ObserveInstances", "WriteAndReadLogs", "WriteMetrics"),
    }
    assert names() == every
    assert names(cloudwatch=False) == every - {"WriteAndReadLogs", "WriteMetrics"}
    nodes = {"ScaleNodeGroups", "ObserveNodeGroups", "ReceiveNotices"}
    assert names(scaler="karpenter") == every - nodes
    assert {each.name for each in installed_statements(PolicyScope(cluster()))} == every - nodes


def test_an_administrator_without_a_new_network_has_no_right_to_it() -> None:
    found = {each.name for each in administrator_statements(PolicyScope(cluster(subnets=OWN_SUBNETS)))}
    assert not {"CreateNetwork", "ChangeNetwork"} & found


def test_the_resources_of_the_operator() -> None:
    scope = PolicyScope(cluster(), "123456789012")
    found = {each.name: each.resources for each in operator_statements(scope)}
    assert found["ScaleNodeGroups"] == (
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/gyrus-vision--*",
    )
    assert found["ReceiveNotices"] == ("arn:aws:sqs:eu-west-1:123456789012:gyrus-vision",)
    assert found["UseObjects"] == ("arn:aws:s3:::gyrus-vision-123456789012-eu-west-1/*",)
    assert found["WriteAndReadLogs"] == (
        "arn:aws:logs:eu-west-1:123456789012:log-group:/gyrus/vision",
        "arn:aws:logs:eu-west-1:123456789012:log-group:/gyrus/vision:*",
    )


def test_the_administrator_may_attach_what_the_template_attaches() -> None:
    spec = cluster(iam_policy_arns=["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"])
    roles = of_type(render_base(spec), "IAM::Role").values()
    attached = {arn for role in roles for arn in role.get("ManagedPolicyArns", ())}
    assert attached == set(every_attached_policy(spec))


def test_the_administrator_has_the_rights_that_cloudformation_needs() -> None:
    spec = cluster(SPOT, subnet_visibility="private")
    templates = (render_base(spec, AccountFacts(nodes_exist=True)), render_group(spec, spec.node_groups[0]))
    kinds = {each["Type"] for template in templates for each in template["Resources"].values()}
    allowed = [action for each in administrator_statements(PolicyScope(spec)) for action in each.actions]
    missing = {
        action
        for kind in kinds
        for action in rights_for(kind)
        if not any(fnmatch(action.lower(), name.lower()) for name in allowed)
    }
    assert not [action for action in missing if not any(re.fullmatch(each, action) for each in UNUSED)]


def test_policies_of_other_partitions() -> None:
    spec = ClusterSpec.model_validate(
        {"region": "cn-north-1", "node_groups": [{"name": "cpu", "instance_type": "m5.large"}]}
    )
    arns = [name for each in all_statements(spec) for name in each.resources if name != "*"]
    assert all(name.startswith("arn:aws-cn:") for name in arns)


def test_a_large_policy_is_several_documents() -> None:
    statements = administrator_statements(PolicyScope(cluster()))
    documents = documents_of(statements)
    assert len(documents) == 2
    assert [each["Sid"] for document in documents for each in document["Statement"]] == [
        statement.name for statement in statements
    ]
