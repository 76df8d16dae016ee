"""The tables of instance types and regions, beside the data of AWS that moto and botocore have."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gyrus.cluster.aws.instance_types import InstanceType, known_types
from gyrus.cluster.aws.preflight.account_readings import instance_type_of
from gyrus.cluster.aws.preflight.quotas import vcpu_quotas
from gyrus.cluster.aws.regions import REGIONS, home_region
from support.aws.aws_data import instance_types


def described() -> dict[str, InstanceType]:
    return {name: instance_type_of(each) for name, each in instance_types().items()}


def test_each_type_is_as_ec2_describes_it():
    found = described()
    assert {name: found.get(name) for name in known_types()} == dict(known_types())


def test_each_family_is_complete():
    families = {name.partition(".")[0] for name in known_types()}
    assert [name for name in described() if name.partition(".")[0] in families] == [
        name for name in described() if name in known_types()
    ]


def test_each_type_but_macs_has_a_quota_of_vcpus():
    assert {name[:3] for name in described() if vcpu_quotas(name) is None} == {"mac"}


def test_each_region_of_eks_is_known():
    session: Any = import_module("botocore.session").get_session()
    partitions = ("aws", "aws-cn", "aws-us-gov")
    found = {name for part in partitions for name in session.get_available_regions("eks", part)}
    assert found == set(REGIONS)
    assert {home_region(region) for region in REGIONS} == {"us-east-1", "cn-north-1", "us-gov-west-1"}
