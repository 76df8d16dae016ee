"""The problems of an account: the exact words, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.preflight.check import notes, problems
from gyrus.cluster.aws.preflight.facts import (
    InUse,
    ObservedAccount,
    OwnCertificate,
    OwnSubnet,
    OwnVpc,
    RegionZone,
)
from gyrus.cluster.aws.preflight.problem import PreflightNote
from gyrus.cluster.aws.preflight.quotas import ALL_QUOTAS
from strategies.accounts import account_for
from strategies.clusters import cluster_specs
from support.examples import examples

NOW = datetime(2026, 11, 28, tzinfo=UTC)
CPU = "node_groups: [{name: cpu, instance_type: m5.large}]"
SUBNETS = """
subnets:
  - {availability_zone: eu-west-1a, subnet_id: subnet-00000000000000001}
  - {availability_zone: eu-west-1b, subnet_id: subnet-00000000000000002}"""
CERTIFICATE = "arn:aws:acm:eu-west-1:123456789012:certificate/1a2b3c4d"


def cluster(text: str = CPU, region: str = "eu-west-1") -> ClusterSpec:
    return parse_cluster(f"cluster_name: vision\nregion: {region}\n{text}\n", "cluster.yaml")


def reported(spec: ClusterSpec, facts: ObservedAccount) -> list[str]:
    return [f"{problem.severity}: {problem}" for problem in problems(spec, facts, NOW)]


def with_quota(spec: ClusterSpec, code: str, value: float, **in_use: Any) -> ObservedAccount:
    facts = account_for(spec)
    used = replace(facts.in_use, **in_use)
    return replace(facts, quotas={**facts.quotas, code: value}, in_use=used)


def raise_to(service: str, code: str, value: int, region: str = "eu-west-1") -> str:
    return (
        f"Raise it: aws service-quotas request-service-quota-increase --service-code {service} --quota-code "
        f"{code} --desired-value {value} --region {region} "
        f"(or https://{region}.console.aws.amazon.com/servicequotas/home/services/{service}/quotas/{code})"
    )


@settings(max_examples=examples(0.3))
@given(cluster_specs)
def test_an_account_with_everything_has_no_problem(spec: ClusterSpec):
    assert problems(spec, account_for(spec), NOW) == []


@settings(max_examples=examples(0.5))
@given(cluster_specs, st.data())
def test_a_higher_quota_adds_no_problem_and_makes_none_worse(spec: ClusterSpec, data: st.DataObject):
    values = data.draw(
        st.fixed_dictionaries({quota.code: st.integers(0, 3000) | st.integers(0, 5) for quota in ALL_QUOTAS})
    )
    used = {code: data.draw(st.integers(0, 100)) for code in ("L-1216C47A", "L-34B43A08")}
    facts = replace(account_for(spec), quotas=values, in_use=InUse(vpcs=2, addresses=3, vcpus=used))
    before = {problem.what: problem for problem in problems(spec, facts, NOW)}
    code = data.draw(st.sampled_from(["L-1216C47A", "L-34B43A08", *(quota.code for quota in ALL_QUOTAS)]))
    raised = values | {code: values[code] + data.draw(st.integers(1, 10_000))}
    for problem in problems(spec, replace(facts, quotas=raised), NOW):
        assert problem.what in before
        assert before[problem.what].is_error or not problem.is_error


@settings(max_examples=examples(0.3))
@given(cluster_specs)
def test_an_account_of_which_nothing_is_known_has_no_problem(spec: ClusterSpec):
    nothing = ObservedAccount(identity=account_for(spec).identity)
    assert problems(spec, nothing, NOW) == []
    assert notes(spec, nothing)


def test_too_few_vcpus_for_the_least_and_for_the_most():
    spec = cluster("node_groups: [{name: a, instance_type: m5.xlarge, min_instances: 2, max_instances: 5}]")
    name = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances (quota L-1216C47A)"
    assert reported(spec, with_quota(spec, "L-1216C47A", 10, vcpus={"L-1216C47A": 3})) == [
        f"error: {name}: have 10 vCPUs, of which 3 are in use; need 8 to begin with and 20 for "
        f"max_instances of a. {raise_to('ec2', 'L-1216C47A', 23)}"
    ]
    assert reported(spec, with_quota(spec, "L-1216C47A", 10)) == [
        f"warning: {name}: have 10 vCPUs; need 20 for max_instances of a. {raise_to('ec2', 'L-1216C47A', 20)}"
    ]
    assert reported(spec, with_quota(spec, "L-1216C47A", 10, vcpus=None)) == [
        f"warning: {name}: have 10 vCPUs, of which an unknown number is in use; need 20 for max_instances of "
        f"a. {raise_to('ec2', 'L-1216C47A', 20)}"
    ]


def test_missing_spot_vcpus_are_a_warning_while_on_demand_ones_suffice():
    spec = cluster(
        "node_groups: [{name: s, instance_type: g5.xlarge, min_instances: 4, max_instances: 8, spot: true, "
        "spot_config: {on_demand_base_capacity: 1}}]"
    )
    facts = with_quota(spec, "L-3819A6DF", 4)
    spot = (
        "warning: All G and VT Spot Instance Requests (quota L-3819A6DF): have 4 vCPUs; need 12 to "
        f"begin with and 28 for max_instances of s. {raise_to('ec2', 'L-3819A6DF', 28)}"
    )
    assert reported(spec, facts) == [spot]
    enough = replace(facts, quotas={**facts.quotas, "L-DB2E81BA": 12})
    on_demand = "Running On-Demand G and VT instances (quota L-DB2E81BA): have"
    assert reported(spec, enough) == [
        f"warning: {on_demand} 12 vCPUs; need 32 for max_instances of s. {raise_to('ec2', 'L-DB2E81BA', 32)}",
        spot,
    ]
    few = replace(facts, quotas={**facts.quotas, "L-DB2E81BA": 11})
    assert reported(spec, few) == [
        f"error: {on_demand} 11 vCPUs; need 12 to begin with and 32 for max_instances of s. "
        f"{raise_to('ec2', 'L-DB2E81BA', 32)}",
        spot,
    ]


@pytest.mark.parametrize(
    ("code", "service", "text", "in_use", "expected"),
    [
        ("L-F678F1CE", "vpc", CPU, {"vpcs": 5}, "VPCs per Region (quota L-F678F1CE): have 5, of which 5 are "
         "in use; need 1 more. {}6"),
        ("L-A4707A72", "vpc", CPU, {"internet_gateways": 5}, "Internet gateways per Region (quota "
         "L-A4707A72): have 5, of which 5 are in use; need 1 more. {}6"),
        ("L-0263D0A3", "ec2", f"{CPU}\nnat_gateway: highly_available", {"addresses": 3}, "EC2-VPC Elastic "
         "IPs (quota L-0263D0A3): have 5, of which 3 are in use; need 3 more. {}6"),
        ("L-FE5A380F", "vpc", f"{CPU}\nsubnet_visibility: private", {"nat_gateways": {"eu-west-1a": 5}},
         "NAT gateways per Availability Zone (quota L-FE5A380F) in eu-west-1a: have 5, of which 5 are in use;"
         " need 1 more. {}6"),
        ("L-407747CB", "vpc", f"{CPU}\nsubnet_visibility: private", {}, "Subnets per VPC (quota L-407747CB): "
         "have 5; need 6. {}6"),
        ("L-E79EC296", "vpc", f"{CPU}\napi_load_balancer_type: elb", {"security_groups": 4}, "VPC security "
         "groups per Region (quota L-E79EC296): have 5, of which 4 are in use; need 2 more. {}6"),
        ("L-0EA8095F", "vpc", CPU, {}, "Inbound or outbound rules per security group (quota L-0EA8095F): have"
         " 5; need 13. {}13"),
        ("L-1194D53C", "eks", CPU, {"clusters": 5}, "Clusters (quota L-1194D53C): have 5, of which 5 are in "
         "use; need 1 more. {}6"),
        ("L-CDE20ADC", "autoscaling", CPU, {"scaling_groups": 5}, "Auto Scaling groups per region (quota "
         "L-CDE20ADC): have 5, of which 5 are in use; need 1 more. {}6"),
    ],
)  # fmt: skip
def test_too_few_of_a_number(code: str, service: str, text: str, in_use: dict[str, Any], expected: str):
    spec = cluster(text)
    message, _, value = expected.partition("{}")
    found = reported(spec, with_quota(spec, code, 5, **in_use))
    assert found == [f"error: {message}{raise_to(service, code, int(value))}"]


def test_subnets_of_your_own_need_no_network():
    spec = cluster(CPU + SUBNETS)
    facts = account_for(spec)
    none = dict.fromkeys(("L-F678F1CE", "L-A4707A72", "L-407747CB", "L-0263D0A3", "L-FE5A380F"), 0.0)
    assert problems(spec, replace(facts, quotas={**facts.quotas, **none}), NOW) == []


def test_the_console_of_other_partitions():
    spec = cluster(region="cn-north-1")
    (found,) = problems(spec, with_quota(spec, "L-1194D53C", 0), NOW)
    assert "https://cn-north-1.console.amazonaws.cn/servicequotas/home/services/eks/" in found.remedy
    spec = cluster(region="us-gov-west-1")
    (found,) = problems(spec, with_quota(spec, "L-1194D53C", 0), NOW)
    assert "https://us-gov-west-1.console.amazonaws-us-gov.com/servicequotas/" in found.remedy


def changed_subnet(spec: ClusterSpec, **changes: Any) -> ObservedAccount:
    facts = account_for(spec)
    assert facts.subnets is not None
    first: OwnSubnet = facts.subnets["subnet-00000000000000001"]
    return replace(facts, subnets={**facts.subnets, first.subnet_id: replace(first, **changes)})


@pytest.mark.parametrize(
    ("visibility", "changes", "expected"),
    [
        (
            "public",
            {"zone": "eu-west-1c"},
            "error: {}: have it in eu-west-1c; need it in eu-west-1a, as cluster.yaml states. "
            "Write availability_zone: eu-west-1c",
        ),
        (
            "public",
            {"free_addresses": 5},
            "error: {}: have 5 free addresses; need 6 for the control plane. Use a larger subnet",
        ),
        (
            "public",
            {"internet": "NAT gateway"},
            "error: {}: have no route to an internet gateway; need one, as subnet_visibility is public. "
            "Add the route, or write subnet_visibility: private",
        ),
        (
            "private",
            {"internet": "internet gateway"},
            "error: {}: have a route to an internet gateway; need one by a NAT gateway: nodes of private "
            "subnets have no public address. Use private subnets, or write subnet_visibility: public",
        ),
        (
            "private",
            {"internet": "none"},
            "warning: {}: have no route to the internet; need one by a NAT or transit gateway, or VPC "
            "endpoints of all services that nodes call. Add a route for 0.0.0.0/0, unless the VPC has these "
            "endpoints",
        ),
    ],
)
def test_a_subnet_of_your_own(visibility: str, changes: dict[str, Any], expected: str):
    spec = cluster(f"{CPU}{SUBNETS}\nsubnet_visibility: {visibility}")
    what = "subnets[0]: subnet-00000000000000001"
    assert reported(spec, changed_subnet(spec, **changes)) == [expected.format(what)]
    assert problems(spec, changed_subnet(spec, internet=None), NOW) == []


def test_subnets_of_two_vpcs():
    spec = cluster(CPU + SUBNETS)
    assert reported(spec, changed_subnet(spec, vpc_id="vpc-1")) == [
        "error: subnets[1]: subnet-00000000000000002: have it in vpc-0a1b2c3d4e5f60718; need it in vpc-1, "
        "like the first subnet. Use subnets of one VPC"
    ]


def test_a_subnet_that_does_not_exist_and_one_of_another_vpc():
    spec = cluster(f"{CPU}{SUBNETS}\nvpc_id: vpc-00000000000000009")
    facts = changed_subnet(spec, vpc_id="vpc-1")
    assert facts.subnets is not None
    only = {name: each for name, each in facts.subnets.items() if name.endswith("1")}
    assert reported(spec, replace(facts, subnets=only)) == [
        "error: subnets[0]: subnet-00000000000000001: have it in vpc-1; need it in vpc-00000000000000009, "
        "which is vpc_id. Use subnets of one VPC",
        "error: subnets[1]: subnet-00000000000000002: have no such subnet in eu-west-1 of the account "
        "123456789012; need a subnet that exists there. List them: aws ec2 describe-subnets "
        "--region eu-west-1",
    ]


def test_subnets_that_are_too_small_for_all_nodes():
    spec = cluster(f"node_groups: [{{name: a, instance_type: m5.large, max_instances: 40}}]{SUBNETS}")
    facts = account_for(spec)
    assert facts.subnets is not None
    small = {name: replace(each, free_addresses=20) for name, each in facts.subnets.items()}
    assert reported(spec, replace(facts, subnets=small)) == [
        "warning: subnets: have 40 free addresses; need 40 for max_instances of all groups, 6 a subnet for "
        "the control plane, and one for each pod. Use larger subnets, or add some"
    ]


def test_a_vpc_without_dns():
    spec = cluster(CPU + SUBNETS)
    vpc = OwnVpc("vpc-0a1b2c3d4e5f60718", (), has_dns_support=False, has_dns_hostnames=False)
    assert reported(spec, replace(account_for(spec), vpcs={vpc.vpc_id: vpc})) == [
        f"error: VPC {vpc.vpc_id}: have {name} off; need it on: nodes find the control plane by its name. "
        f"Switch it on: aws ec2 modify-vpc-attribute --vpc-id {vpc.vpc_id} {option} --region eu-west-1"
        for name, option in (
            ("enableDnsSupport", "--enable-dns-support"),
            ("enableDnsHostnames", "--enable-dns-hostnames"),
        )
    ]


ISSUED = OwnCertificate("ISSUED", "api.example.com", NOW + timedelta(days=300))


@pytest.mark.parametrize(
    ("certificate", "expected"),
    [
        (ISSUED, []),
        (
            OwnCertificate(""),
            ["error: {}: have no such certificate in eu-west-1; need one that exists. "
             "List them: aws acm list-certificates --region eu-west-1"],
        ),
        (
            replace(ISSUED, status="PENDING_VALIDATION"),
            ["error: {}: have a certificate for api.example.com with the status PENDING_VALIDATION; need one "
             "that is issued and valid. Create the DNS records that ACM shows, and wait until it is issued"],
        ),
        (
            replace(ISSUED, expires=NOW),
            ["error: {}: have a certificate for api.example.com that expired on 2026-11-28; need one that is "
             "issued and valid. Request another one, or import a renewed one"],
        ),
        (
            replace(ISSUED, expires=NOW + timedelta(days=9), is_renewed=False),
            ["warning: {}: have an imported certificate for api.example.com that expires on 2026-12-07; need "
             "a valid one: ACM does not renew imported ones. Import a renewed one before that day"],
        ),
        (replace(ISSUED, expires=NOW + timedelta(days=9)), []),
    ],
)  # fmt: skip
def test_a_certificate(certificate: OwnCertificate, expected: list[str]):
    spec = cluster(f"{CPU}\nssl_certificate_arn: {CERTIFICATE}")
    facts = replace(account_for(spec), certificate=certificate)
    assert reported(spec, facts) == [text.format(f"ssl_certificate_arn: {CERTIFICATE}") for text in expected]


def test_a_policy_that_does_not_exist():
    arn = "arn:aws:iam::123456789012:policy/models"
    spec = cluster(f"{CPU}\niam_policy_arns: [{arn}]")
    assert reported(spec, replace(account_for(spec), policies={arn: False})) == [
        f"error: iam_policy_arns[0]: {arn}: have no such policy; need one that exists. "
        "List them: aws iam list-policies --query Policies[].Arn"
    ]


def test_names_in_use():
    spec = cluster()
    need = "need a bucket of the account 123456789012 in eu-west-1, or none. Choose another cluster_name, or "
    for state, have in (
        ("foreign", "a bucket of another account, or one that the credentials may not read"),
        ("other region", "it in another region than eu-west-1"),
    ):
        facts = replace(account_for(spec), bucket=state)
        assert reported(spec, facts) == [
            f"error: bucket gyrus-vision: have {have}; {need}delete the bucket if it is yours"
        ]
    assert problems(spec, replace(account_for(spec), bucket="own", cluster="gyrus"), NOW) == []
    assert reported(spec, replace(account_for(spec), cluster="foreign")) == [
        "error: cluster_name: vision: have an EKS cluster of that name in eu-west-1 that gyrus did not make; "
        "need a free name. Choose another cluster_name, or install gyrus on that cluster: "
        "gyrus cluster install"
    ]


def test_a_disabled_region_is_the_only_problem():
    spec = cluster(region="me-south-1")
    facts = replace(with_quota(spec, "L-1194D53C", 0), region="disabled", cluster="foreign")
    assert reported(spec, facts) == [
        "error: region me-south-1: have it disabled in the account 123456789012; need it enabled. "
        "Enable it, which takes minutes: aws account enable-region --region-name me-south-1"
    ]
    assert notes(spec, facts) == []
    assert reported(spec, replace(facts, region="unknown")) == [
        "error: region me-south-1: have no such region for the account 123456789012; need one that exists. "
        "Choose one of: aws ec2 describe-regions --all-regions --query Regions[].RegionName"
    ]


def test_errors_come_first():
    spec = cluster("node_groups: [{name: a, instance_type: m5.large, max_instances: 40}]")
    facts = replace(with_quota(spec, "L-1216C47A", 10), zones=(RegionZone("eu-west-1a", "euw1-az1"),))
    assert [problem.severity for problem in problems(spec, facts, NOW)] == ["error", "error", "warning"]


def test_what_could_not_be_checked():
    spec = cluster(
        "node_groups: [{name: a, instance_type: m5.large}, {name: b, instance_type: p6-b200.48xlarge, "
        "spot: true}, {name: c, instance_type: q7.large}]"
    )
    denied = PreflightNote("bucket", "the credentials lack s3:ListBucket")
    facts = account_for(spec)
    quotas = {code: value for code, value in facts.quotas.items() if code not in ("L-1216C47A", "L-F678F1CE")}
    facts = replace(facts, quotas=quotas, unchecked=(denied,))
    assert [str(note) for note in notes(spec, facts)] == [
        "not checked: bucket: the credentials lack s3:ListBucket",
        "not checked: VPCs per Region (quota L-F678F1CE): Service Quotas has no value of it in eu-west-1",
        "not checked: Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances (quota L-1216C47A): "
        "Service Quotas has no value of it in eu-west-1",
        "not checked: quota of spot vCPUs of p6-b200.48xlarge (b): gyrus does not know which one it is",
        "not checked: vCPU quota of q7.large (c): gyrus does not know which one it is",
    ]
    denied = PreflightNote("quotas of ec2", "the credentials lack servicequotas:ListServiceQuotas")
    assert "L-1216C47A" not in str(notes(spec, replace(facts, unchecked=(denied,))))


def test_the_table_stands_in_for_types_that_were_not_read():
    spec = cluster()
    facts = replace(with_quota(spec, "L-1216C47A", 1), types=None)
    (found,) = problems(spec, facts, NOW)
    assert known_types()["m5.large"].vcpu == 2
    assert found.need == "4 to begin with and 10 for max_instances of cpu"
