"""The base stack: what it has, and what holds for every cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.templates.account_facts import AccountFacts, DataState, service_range
from gyrus.cluster.aws.templates.base_stack import OUTPUTS, render_base
from gyrus.cluster.aws.templates.document import LARGEST_BODY, body, rendered
from strategies.clusters import cluster_specs
from support.cluster_templates import (
    CPU,
    OWN_SUBNETS,
    can_bear_tags,
    cluster,
    dangling,
    of_type,
    tags_of,
)

WITH_NODES = AccountFacts(nodes_exist=True)


@settings(max_examples=40, deadline=None)
@given(cluster_specs)
def test_every_cluster_has_a_sound_template(spec: ClusterSpec) -> None:
    template = render_base(spec, WITH_NODES)
    assert dangling(template) == set()
    assert rendered(template) == rendered(render_base(spec.model_copy(deep=True), WITH_NODES))
    assert len(body(template).encode()) <= LARGEST_BODY
    for name, resource in template["Resources"].items():
        if can_bear_tags(resource["Type"]):
            assert spec.tags.items() <= tags_of(resource["Properties"]).items(), name
            assert tags_of(resource["Properties"])["gyrus.dev/cluster"] == spec.cluster_name
    assert set(template["Outputs"]) <= set(OUTPUTS)


def test_a_small_cluster() -> None:
    template = render_base(cluster(tags={"team": "vision"}))
    assert [each["Type"].removeprefix("AWS::") for each in template["Resources"].values()] == [
        *("EC2::VPC", "EC2::InternetGateway", "EC2::VPCGatewayAttachment", "EC2::RouteTable", "EC2::Route"),
        *("EC2::Subnet", "EC2::SubnetRouteTableAssociation") * 3,
        "EC2::VPCEndpoint",
        *("IAM::Role",) * 6,
        *("IAM::InstanceProfile", "Logs::LogGroup", "EKS::Cluster", "EKS::AccessEntry"),
        *("EKS::Addon",) * 3,
        *("EKS::PodIdentityAssociation",) * 2,
        *("S3::Bucket", "S3::BucketPolicy", "Logs::LogGroup", "CloudWatch::Dashboard"),
        *("CloudWatch::Alarm",) * 6,
        *("SQS::Queue", "SQS::QueuePolicy"),
        *("Events::Rule",) * 5,
    ]
    subnets = of_type(template, "EC2::Subnet")
    assert [each["CidrBlock"] for each in subnets.values()] == [
        "192.168.0.0/18",
        "192.168.64.0/18",
        "192.168.128.0/18",
    ]
    zones: Any = {"Fn::GetAZs": {"Ref": "AWS::Region"}}
    assert subnets["PublicSubnet2"]["AvailabilityZone"] == {"Fn::Select": [1, zones]}
    assert tags_of(subnets["PublicSubnet1"]) == {
        "team": "vision",
        "gyrus.dev/cluster": "vision",
        "Name": "gyrus-vision/PublicSubnet1",
        "kubernetes.io/cluster/vision": "shared",
        "kubernetes.io/role/elb": "1",
        "kubernetes.io/role/internal-elb": "1",
    }
    assert set(OUTPUTS) - set(template["Outputs"]) == {"PrivateSubnets"}


def test_zones_are_those_that_are_given() -> None:
    template = render_base(cluster(), AccountFacts(zones=("eu-west-1c", "eu-west-1a")))
    zones = {name: each["AvailabilityZone"] for name, each in of_type(template, "EC2::Subnet").items()}
    assert zones == {
        "PublicSubnetA": {"Fn::Sub": "${AWS::Region}a"},
        "PublicSubnetC": {"Fn::Sub": "${AWS::Region}c"},
    }


@pytest.mark.parametrize(
    ("nat", "gateways"), [("single", ["NatGatewayA"]), ("highly_available", ["NatGatewayA", "NatGatewayB"])]
)
def test_private_subnets_reach_the_internet_by_a_nat_gateway(nat: str, gateways: list[str]) -> None:
    zones = ["eu-west-1a", "eu-west-1b"]
    template = render_base(cluster(subnet_visibility="private", nat_gateway=nat, availability_zones=zones))
    assert list(of_type(template, "EC2::NatGateway")) == gateways
    assert [each["NatGatewayId"]["Ref"] for each in _routes(template)] == (gateways * 2)[:2]
    assert template["Outputs"]["Subnets"]["Value"] == template["Outputs"]["PrivateSubnets"]["Value"]
    tags = {name: set(tags_of(each)) for name, each in of_type(template, "EC2::Subnet").items()}
    assert "kubernetes.io/role/internal-elb" not in tags["PublicSubnetA"]
    assert "kubernetes.io/role/elb" not in tags["PrivateSubnetA"]
    tables = of_type(template, "EC2::VPCEndpoint")["StorageEndpoint"]["RouteTableIds"]
    assert tables == [{"Ref": "PublicRoutes"}, {"Ref": "PrivateRoutesA"}, {"Ref": "PrivateRoutesB"}]


def _routes(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in of_type(template, "EC2::Route").values() if "NatGatewayId" in each]


def test_your_own_subnets_are_used_as_they_are() -> None:
    spec = cluster(subnets=OWN_SUBNETS, vpc_id="vpc-00000001", subnet_visibility="private")
    template = render_base(spec, AccountFacts(vpc_ranges=("10.100.0.0/20", "172.20.0.0/20")))
    assert not [each for each in template["Resources"].values() if each["Type"].startswith("AWS::EC2::")]
    eks = of_type(template, "EKS::Cluster")["Cluster"]
    assert eks["ResourcesVpcConfig"]["SubnetIds"] == ["subnet-00000000", "subnet-00000001"]
    assert eks["KubernetesNetworkConfig"] == {"ServiceIpv4Cidr": "192.168.0.0/16"}
    values = {name: each["Value"] for name, each in template["Outputs"].items()}
    assert values["Vpc"] == "vpc-00000001"
    assert values["Zones"] == {"Fn::Join": [",", ["eu-west-1a", "eu-west-1b"]]}
    assert "PublicSubnets" not in values


@pytest.mark.parametrize(
    ("network", "services"),
    [
        ("192.168.0.0/16", "10.100.0.0/16"),
        ("10.100.0.0/16", "172.20.0.0/16"),
        ("10.0.0.0/16", "10.100.0.0/16"),
    ],
)
def test_services_have_addresses_outside_the_vpc(network: str, services: str) -> None:
    assert service_range(cluster(vpc_cidr=network), AccountFacts()) == services


def test_the_control_plane_is_reached_by_access_entries_alone() -> None:
    template = render_base(cluster(kubernetes_version="1.34"))
    eks = of_type(template, "EKS::Cluster")["Cluster"]
    assert (eks["Name"], eks["Version"]) == ("vision", "1.34")
    assert eks["AccessConfig"] == {
        "AuthenticationMode": "API",
        "BootstrapClusterCreatorAdminPermissions": True,
    }
    entry = of_type(template, "EKS::AccessEntry")["NodeAccess"]
    assert entry["Type"] == "EC2_LINUX"
    assert entry["PrincipalArn"] == {"Fn::GetAtt": ["NodeRole", "Arn"]}


def test_addons_that_need_nodes_come_with_the_nodes() -> None:
    def addons(facts: AccountFacts) -> set[str]:
        found = of_type(render_base(cluster(), facts), "EKS::Addon")
        return {each["AddonName"] for each in found.values()}

    first = {"vpc-cni", "kube-proxy", "eks-pod-identity-agent"}
    assert addons(AccountFacts()) == first
    assert addons(WITH_NODES) == first | {"coredns", "aws-ebs-csi-driver", "metrics-server"}


def test_volumes_have_the_cluster_tags_and_a_default_class() -> None:
    found = of_type(render_base(cluster(tags={"team": "vision"}), WITH_NODES), "EKS::Addon")
    assert json.loads(found["AwsEbsCsiDriverAddon"]["ConfigurationValues"]) == {
        "controller": {"extraVolumeTags": {"gyrus.dev/cluster": "vision", "team": "vision"}},
        "defaultStorageClass": {"enabled": True},
    }


def test_pods_get_roles_by_their_service_accounts() -> None:
    template = render_base(
        cluster(gyrus={"namespace": "models"}, iam_policy_arns=["arn:aws:iam::aws:policy/A"])
    )
    found = of_type(template, "EKS::PodIdentityAssociation")
    assert [(each["Namespace"], each["ServiceAccount"]) for each in found.values()] == [
        ("models", "gyrus-operator"),
        ("models", "gyrus-replica"),
    ]
    assert [each["RoleArn"]["Fn::GetAtt"] for each in found.values()] == [
        ["OperatorRole", "Arn"],
        ["ReplicaRole", "Arn"],
    ]
    roles = of_type(template, "IAM::Role")
    assert roles["ReplicaRole"]["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/A"]
    assert "Policies" not in roles["ReplicaRole"]
    assert roles["OperatorRole"]["AssumeRolePolicyDocument"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ]


def test_the_bucket_is_private_encrypted_and_cleaned() -> None:
    template = render_base(cluster())
    bucket = of_type(template, "S3::Bucket")["Bucket"]
    assert bucket["BucketName"] == {"Fn::Sub": "gyrus-vision-${AWS::AccountId}-eu-west-1"}
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["LifecycleConfiguration"]["Rules"] == [
        {
            "Id": "unfinished-uploads",
            "Status": "Enabled",
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
        },
        {"Id": "results", "Status": "Enabled", "Prefix": "results/", "ExpirationInDays": 30},
        {"Id": "logs", "Status": "Enabled", "Prefix": "logs/", "ExpirationInDays": 30},
    ]
    policy = of_type(template, "S3::BucketPolicy")["BucketPolicy"]["PolicyDocument"]["Statement"]
    assert [(each["Effect"], each["Condition"]) for each in policy] == [
        ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    ]


def test_data_can_outlive_the_cluster() -> None:
    def fates(data: DataState) -> dict[str, str]:
        found = render_base(cluster(), AccountFacts(data=data))["Resources"]
        return {name: each["DeletionPolicy"] for name, each in found.items() if "DeletionPolicy" in each}

    names = ("Bucket", "BucketPolicy", "LogGroup")
    assert fates(DataState.OWN) == dict.fromkeys(names, "Delete")
    assert fates(DataState.KEPT) == dict.fromkeys(names, "Retain")
    assert fates(DataState.FOUND) == {}
    kept = render_base(cluster(), AccountFacts(data=DataState.KEPT))
    assert tags_of(of_type(kept, "S3::Bucket")["Bucket"])["gyrus.dev/kept"] == "true"
    found = render_base(cluster(), AccountFacts(data=DataState.FOUND))
    assert found["Outputs"]["Bucket"] == kept["Outputs"]["Bucket"]


def test_logs_are_kept_for_a_month_or_not_sent() -> None:
    template = render_base(cluster())
    groups = of_type(template, "Logs::LogGroup").values()
    assert {(each["LogGroupName"], each["RetentionInDays"]) for each in groups} == {
        ("/gyrus/vision", 30),
        ("/aws/eks/vision/cluster", 30),
    }
    assert template["Resources"]["Cluster"]["DependsOn"] == "ControlPlaneLogs"
    without = render_base(cluster(cloudwatch=False))
    assert not of_type(without, "Logs::LogGroup")
    assert "LogGroup" not in without["Outputs"]
    logging = of_type(without, "EKS::Cluster")["Cluster"]["Logging"]
    assert logging == {"ClusterLogging": {"EnabledTypes": []}}


def test_notices_arrive_in_the_queue() -> None:
    rules = of_type(render_base(cluster()), "Events::Rule")
    patterns = {each["Name"]: each["EventPattern"] for each in rules.values()}
    assert {name: pattern["detail-type"] for name, pattern in patterns.items()} == {
        "gyrus-vision-SpotInterruption": ["EC2 Spot Instance Interruption Warning"],
        "gyrus-vision-Rebalance": ["EC2 Instance Rebalance Recommendation"],
        "gyrus-vision-InstanceState": ["EC2 Instance State-change Notification"],
        "gyrus-vision-ScalingActivity": [
            "EC2 Instance Launch Successful",
            "EC2 Instance Terminate Successful",
            "EC2 Instance Launch Unsuccessful",
            "EC2 Instance Terminate Unsuccessful",
        ],
        "gyrus-vision-ScheduledChange": ["AWS Health Event"],
    }
    own = patterns["gyrus-vision-ScalingActivity"]["detail"]
    assert own == {"AutoScalingGroupName": [{"prefix": "gyrus-vision--"}]}
    assert all(each["Targets"][0]["Arn"] == {"Fn::GetAtt": ["NoticeQueue", "Arn"]} for each in rules.values())


@pytest.mark.parametrize("scaler", ["karpenter", "none"])
def test_only_a_planner_of_nodes_needs_notices(scaler: str) -> None:
    template = render_base(cluster(scaler=scaler))
    assert not of_type(template, "SQS::Queue")
    assert "NoticeQueue" not in template["Outputs"]


def test_many_tags_come_from_the_stack() -> None:
    many = {f"tag-{number}": "v" * 200 for number in range(40)}
    spec = cluster(CPU, tags=many, subnet_visibility="private")
    template = render_base(spec)
    assert len(body(template).encode()) <= LARGEST_BODY
    assert tags_of(of_type(template, "S3::Bucket")["Bucket"]) == {"gyrus.dev/cluster": "vision"}
