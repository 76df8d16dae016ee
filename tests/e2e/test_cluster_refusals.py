"""Clusters that cannot be created on AWS: each is refused in exact words, and nothing is created.

The account is an emulator's. What it returns of types, zones and quotas is AWS's data.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.aws.account import REGION, AwsAccount, aws_account

pytestmark = [pytest.mark.aws, pytest.mark.processes, pytest.mark.slow]
CPU = "node_groups: [{name: cpu, instance_type: m5.large}]"
LAST = "  Nothing was created. Remove the causes, and run gyrus cluster up again.\n"


@pytest.fixture(scope="module")
def running() -> Iterator[AwsAccount]:
    with aws_account() as account:
        yield account


class Refusals:
    """Runs ``gyrus cluster up`` on an account, and checks that it leaves it as it was."""

    def __init__(self, account: AwsAccount, folder: Path) -> None:
        self.account = account
        self.file = folder / "cluster.yaml"
        self._folder = folder

    def up(self, text: str, *, code: int = 1, region: str = REGION, **variables: str | None) -> str:
        """Return the errors of ``up``, without its notes."""
        self.file.write_text(f"cluster_name: vision\nregion: {region}\n{text}\n")
        before = self.account.resources()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        given = inherited | self.account.environment | self._own | variables
        ran = subprocess.run(
            [sys.executable, "-m", "gyrus.cli.main", "cluster", "up", "-f", self.file, "--yes"],
            env={name: value for name, value in given.items() if value is not None},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == code, ran.stderr
        assert ran.stdout == ""
        assert self.account.resources() == before
        assert not (self._folder / "kubeconfig").exists()
        return ran.stderr[ran.stderr.index("error: ") :]

    def account_error(self, *lines: str) -> str:
        head = f"error: The account cannot have the cluster vision as {self.file} describes it.\n"
        return head + "\n" + "".join(f"  {line}\n" for line in lines) + "\n" + LAST

    def file_error(self, place: str, line: str) -> str:
        return f"error: {self.file} has 1 fault.\n\n  {self.file}:{place}: {line}\n"

    @property
    def _own(self) -> dict[str, str]:
        return {
            "GYRUS_HOME": str(self._folder / "home"),
            "KUBECONFIG": str(self._folder / "kubeconfig"),
            "HOME": str(self._folder),
            "NO_COLOR": "1",
        }


@pytest.fixture
def refused(running: AwsAccount, tmp_path: Path) -> Iterator[Refusals]:
    yield Refusals(running, tmp_path)
    running.set(refusals={}, quotas={}, regions={})


def test_no_credentials(refused: Refusals) -> None:
    error = refused.up(CPU, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert error == (
        "error: There are no AWS credentials.\n"
        "  Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run: aws configure\n"
    )


def test_an_expired_token(refused: Refusals) -> None:
    message = "The security token included in the request is expired"
    refused.account.set(refusals={"sts:GetCallerIdentity": ["ExpiredToken", message]})
    assert refused.up(CPU) == (
        f"error: AWS refuses the credentials: {message}\n"
        "  Sign in again (for example: aws sso login), or check the keys, and repeat the command\n"
    )


def test_a_region_that_does_not_exist(refused: Refusals) -> None:
    assert refused.up(CPU, region="eu-wst-1", code=2) == refused.file_error(
        "2:9", 'region: "eu-wst-1" is not a region; did you mean "eu-west-1"?'
    )


def test_a_region_that_is_not_enabled(refused: Refusals) -> None:
    refused.account.set(regions={REGION: "not-opted-in"})
    assert refused.up(CPU) == refused.account_error(
        "region eu-west-1: have it disabled in the account 000000000000; need it enabled. Enable it, which "
        "takes minutes: aws account enable-region --region-name eu-west-1"
    )


def test_an_instance_type_that_does_not_exist(refused: Refusals) -> None:
    text = "node_groups: [{name: cpu, instance_type: m5.lagre}]"
    assert refused.up(text, code=2) == refused.file_error(
        "3:42",
        'node_groups[0].instance_type: "m5.lagre" is not an instance type; did you mean "m5.large"?',
    )


def test_an_instance_type_that_the_region_does_not_have(refused: Refusals) -> None:
    """The type is well formed, so that only the account can refuse it."""
    text = "node_groups: [{name: cpu, instance_type: m99.large}]"
    assert refused.up(text) == refused.account_error(
        "node_groups[0].instance_type (cpu): m99.large: have no such instance type in eu-west-1; need a type "
        "that the region offers. Check the name, choose another type, or another region: aws ec2 "
        "describe-instance-type-offerings --region eu-west-1"
    )


def test_a_quota_that_is_too_small(refused: Refusals) -> None:
    refused.account.set(quotas={"L-1216C47A": 1})
    assert refused.up(CPU) == refused.account_error(
        "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances (quota L-1216C47A): have 1 vCPUs; "
        "need 4 to begin with and 10 for max_instances of cpu. Raise it: aws service-quotas "
        "request-service-quota-increase --service-code ec2 --quota-code L-1216C47A --desired-value 10 "
        "--region eu-west-1 (or https://eu-west-1.console.aws.amazon.com/servicequotas/home/services/ec2/"
        "quotas/L-1216C47A)"
    )


def test_a_bucket_of_another_account(refused: Refusals) -> None:
    refused.account.set(refusals={"s3:HeadBucket": ["403", "Forbidden"]})
    assert refused.up(CPU) == refused.account_error(
        "bucket gyrus-vision-000000000000-eu-west-1: have a bucket of another account, or one that the "
        "credentials may not read; need a bucket of the account 000000000000 in eu-west-1, or none. Choose "
        "another cluster_name, or delete the bucket if it is yours"
    )


def test_a_subnet_of_another_vpc(refused: Refusals) -> None:
    ec2 = refused.account.client("ec2")
    networks = [ec2.create_vpc(CidrBlock=f"10.{one}.0.0/16")["Vpc"]["VpcId"] for one in (7, 8)]
    for network in networks:
        ec2.modify_vpc_attribute(VpcId=network, EnableDnsHostnames={"Value": True})
    own = _subnet(ec2, networks[0], "10.7.0.0/20", "a")
    other = _subnet(ec2, networks[1], "10.8.0.0/20", "b")
    entries = "\n".join(
        f"  - {{availability_zone: {REGION}{zone}, subnet_id: {name}}}"
        for zone, name in (("a", own), ("b", other))
    )
    error = refused.up(f"{CPU}\nsubnet_visibility: private\nvpc_id: {networks[0]}\nsubnets:\n{entries}")
    assert error == refused.account_error(
        f"subnets[1]: {other}: have it in {networks[1]}; need it in {networks[0]}, which is vpc_id. Use "
        "subnets of one VPC"
    )


def test_a_certificate_of_another_region(refused: Refusals) -> None:
    arn = "arn:aws:acm:us-east-1:000000000000:certificate/12345678-1234-1234-1234-123456789012"
    assert refused.up(f"{CPU}\nssl_certificate_arn: {arn}", code=2) == refused.file_error(
        "4:22",
        "ssl_certificate_arn: names a certificate of us-east-1, and the cluster is in eu-west-1; request one "
        "in eu-west-1",
    )


def _subnet(ec2: Any, network: str, addresses: str, zone: str) -> str:
    created = ec2.create_subnet(VpcId=network, CidrBlock=addresses, AvailabilityZone=f"{REGION}{zone}")
    return created["Subnet"]["SubnetId"]
