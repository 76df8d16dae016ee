import pytest

from gyrus.cluster.aws.cluster_change import refusals
from gyrus.cluster.aws.stack_state import ResourceChange


def change(kind: str, action: str = "Modify", replacement: str = "", *properties: str) -> ResourceChange:
    return ResourceChange(
        stack="gyrus-vision",
        resource="It",
        type=kind,
        action=action,
        replacement=replacement,
        properties=properties,
    )


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (
            change("AWS::EC2::VPC", "Modify", "True", "CidrBlock"),
            "It (AWS::EC2::VPC) would be replaced, since CidrBlock changes",
        ),
        (
            change("AWS::EC2::Subnet", "Modify", "Conditional", "AvailabilityZone", "VpcId"),
            "It (AWS::EC2::Subnet) would be replaced, since AvailabilityZone, VpcId changes",
        ),
        (change("AWS::S3::Bucket", "Remove"), "It (AWS::S3::Bucket) would be removed"),
        (change("AWS::EKS::Cluster", "Remove"), "It (AWS::EKS::Cluster) would be removed"),
    ],
)
def test_the_cluster_and_its_data_are_never_replaced(found: ResourceChange, fault: str):
    assert refusals([found]) == [fault]


@pytest.mark.parametrize(
    "found",
    [
        change("AWS::EKS::Cluster", "Modify", "Conditional", "Version"),  # an upgrade
        change("AWS::EC2::Subnet", "Modify", "False", "Tags"),
        change("AWS::EC2::VPC", "Add"),
        change("AWS::EC2::NatGateway", "Remove"),
        change("AWS::AutoScaling::AutoScalingGroup", "Modify", "True", "AutoScalingGroupName"),
    ],
)
def test_other_changes_are_allowed(found: ResourceChange):
    assert refusals([found]) == []
