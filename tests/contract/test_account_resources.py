"""What tests find in an emulated account: nothing in an empty one, and each resource by its kind."""

from __future__ import annotations

import pytest

from support.aws.account import REGION, aws_account

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]


def test_resources_of_an_account() -> None:
    with aws_account() as account:
        assert account.resources() == frozenset()
        ec2 = account.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        address = ec2.allocate_address(Domain="vpc")["AllocationId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(VpcId=vpc, GroupName="a", Description="a")["GroupId"]
        volume = ec2.create_volume(AvailabilityZone="eu-west-1a", Size=1)["VolumeId"]
        gateway = ec2.create_nat_gateway(SubnetId=subnet, AllocationId=address)["NatGateway"]["NatGatewayId"]
        reserved = ec2.run_instances(ImageId="ami-1", MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"]
        account.client("s3").create_bucket(
            Bucket="packages", CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        account.client("logs").create_log_group(logGroupName="/gyrus/a")
        queue = account.client("sqs").create_queue(QueueName="notices")["QueueUrl"]
        account.client("iam").create_role(RoleName="node", AssumeRolePolicyDocument="{}")
        account.client("elbv2").create_load_balancer(Name="entry", Subnets=[subnet], Type="network")
        found = account.resources()
        assert {
            f"vpc {vpc}",
            f"address {address}",
            f"subnet {subnet}",
            f"security-group {group}",
            f"volume {volume}",
            f"nat-gateway {gateway}",
            f"instance {reserved[0]['InstanceId']}",
            "bucket packages",
            "log-group /gyrus/a",
            f"queue {queue}",
            "role node",
            "load-balancer entry",
        } <= found
        ec2.terminate_instances(InstanceIds=[reserved[0]["InstanceId"]])
        ec2.delete_nat_gateway(NatGatewayId=gateway)
        left = account.resources()
        assert not {one for one in left if one.startswith(("instance ", "nat-gateway "))}
