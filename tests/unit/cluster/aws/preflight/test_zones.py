"""The zones of a cluster, and what is reported of types that they do not offer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_file import parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.preflight.facts import ObservedAccount, OfferedType, RegionZone
from gyrus.cluster.aws.preflight.zones import chosen_zones, group_zones, zone_problems
from strategies.accounts import account_for
from strategies.clusters import cluster_specs
from support.examples import examples

CPU = "node_groups: [{name: cpu, instance_type: m5.large}]"
SPOT = (
    "node_groups: [{name: s, instance_type: m5.large, spot: true, "
    "spot_config: {instance_distribution: [m6i.large]}}]"
)
OTHERS = "or choose another type"


def cluster(text: str = CPU) -> ClusterSpec:
    return parse_cluster(f"cluster_name: vision\nregion: us-east-1\n{text}\n", "cluster.yaml")


def names(letters: str) -> tuple[str, ...]:
    return tuple(f"us-east-1{letter}" for letter in letters)


def offering(spec: ClusterSpec, **offered: str) -> ObservedAccount:
    """An account with six zones, of which e has no control plane. ``offered``: by type, its zones."""
    zones = tuple(
        RegionZone(name, f"use1-az{3 if name[-1] == 'e' else name[-1]}") for name in names("abcdef")
    )
    types = {
        name.replace("_", "."): OfferedType(
            known_types()[name.replace("_", ".")], True, frozenset(names(letters))
        )
        for name, letters in offered.items()
    }
    return replace(account_for(spec), zones=zones, types=types)


@pytest.mark.parametrize(
    ("text", "offered", "expected"),
    [
        (CPU, {"m5_large": "abcdef"}, "abc"),
        (CPU, {"m5_large": "bdef"}, "bdf"),
        (CPU, {"m5_large": "ef"}, "abf"),
        (SPOT, {"m5_large": "abcdef", "m6i_large": "df"}, "adf"),
        (SPOT, {"m5_large": "abc", "m6i_large": "df"}, "abc"),
        (f"{CPU}\navailability_zones: [us-east-1f, us-east-1a]", {"m5_large": "b"}, "fa"),
    ],
)
def test_the_zones_are_those_that_offer_the_types(text: str, offered: dict[str, str], expected: str):
    spec = cluster(text)
    assert chosen_zones(spec, offering(spec, **offered)) == names(expected)


def test_without_knowledge_the_zones_are_those_of_the_file():
    spec = cluster()
    nothing = ObservedAccount(identity=account_for(spec).identity)
    assert chosen_zones(spec, nothing) == ()
    assert chosen_zones(spec, replace(offering(spec), types=None)) == names("abc")
    named = cluster(f"{CPU}\navailability_zones: [us-east-1f, us-east-1a]")
    assert chosen_zones(named, nothing) == names("fa")


@settings(max_examples=examples(0.3))
@given(cluster_specs, st.data())
def test_zones_are_distinct_and_as_many_as_there_can_be(spec: ClusterSpec, data: st.DataObject):
    letters = data.draw(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
    zones = tuple(RegionZone(name, "z") for name in sorted(names("".join(letters))))
    facts = replace(account_for(spec), zones=zones)
    chosen = chosen_zones(spec, facts)
    assert len(chosen) == len(set(chosen))
    if not spec.subnets and not spec.availability_zones:
        assert len(chosen) == min(3, len(zones))
        assert set(chosen) <= {zone.name for zone in zones}
    assert all(set(found) <= set(chosen) for found in group_zones(spec, facts).values())


def test_the_zones_of_a_group():
    spec = cluster("node_groups: [{name: a, instance_type: m5.large}, {name: g, instance_type: g5.xlarge}]")
    facts = offering(spec, m5_large="abcf", g5_xlarge="ab")
    assert group_zones(spec, facts) == {"a": names("abc"), "g": names("ab")}
    assert group_zones(spec, replace(facts, types=None)) == {"a": names("abc"), "g": names("abc")}


@pytest.mark.parametrize(
    ("text", "offered", "expected"),
    [
        (CPU, {"m5_large": "ab"}, []),
        (
            CPU,
            {"m5_large": "b"},
            ["node_groups[0].instance_type (cpu): m5.large: have it in us-east-1b of the cluster's zones "
             "us-east-1a, us-east-1b, us-east-1c; need it in two of them. "
             "Choose another type: us-east-1 offers it in us-east-1b"],
        ),
        (
            f"{CPU}\navailability_zones: [us-east-1a, us-east-1b]",
            {"m5_large": "bcd"},
            ["node_groups[0].instance_type (cpu): m5.large: have it in us-east-1b of the cluster's zones "
             "us-east-1a, us-east-1b; need it in two of them. Write availability_zones: us-east-1b, "
             f"us-east-1c, us-east-1d, which offer it, {OTHERS}"],
        ),
        (
            SPOT,
            {"m5_large": "abc", "m6i_large": "df"},
            ["node_groups[0].spot_config.instance_distribution (s): m6i.large: have it in none of the "
             "cluster's zones us-east-1a, us-east-1b, us-east-1c; need it in one of them. Write "
             f"availability_zones: us-east-1d, us-east-1f, which offer it, {OTHERS}"],
        ),
        (
            SPOT,
            {"m5_large": "abc"},
            ["node_groups[0].spot_config.instance_distribution (s): m6i.large: have no such instance type in "
             "us-east-1; need a type that the region offers. Check the name, choose another type, or another "
             "region: aws ec2 describe-instance-type-offerings --region us-east-1"],
        ),
    ],
)  # fmt: skip
def test_a_type_that_the_zones_do_not_offer(text: str, offered: dict[str, str], expected: list[str]):
    spec = cluster(text)
    assert [str(problem) for problem in zone_problems(spec, offering(spec, **offered))] == expected


def test_zones_that_cannot_be_used():
    spec = cluster(f"{CPU}\navailability_zones: [us-east-1a, us-east-1e, us-east-1z]")
    usable = "us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f"
    assert [str(problem) for problem in zone_problems(spec, offering(spec, m5_large="abe"))] == [
        "availability_zones: have us-east-1e (use1-az3), in which EKS places no control plane; "
        f"need zones that EKS supports. Use {usable}",
        "availability_zones: have no available zone us-east-1z in us-east-1; "
        f"need available zones of the account. Use {usable}",
    ]
    spec = cluster()
    few = replace(offering(spec, m5_large="ae"), zones=(RegionZone("us-east-1a", "use1-az1"),))
    assert [str(problem) for problem in zone_problems(spec, replace(few, types=None))] == [
        "zones of us-east-1: have us-east-1a; need two zones in which EKS places control planes. "
        "Choose another region"
    ]


def test_types_that_cannot_be_nodes_of_their_group():
    spec = cluster(
        "node_groups: [{name: s, instance_type: q9.large, spot: true, "
        "spot_config: {instance_distribution: [q8.large]}}]"
    )
    facts = offering(spec)
    arm = replace(known_types()["m6g.large"], name="q9.large")
    small = replace(known_types()["m5.large"], name="q8.large", memory_mib=4096)
    zones = frozenset(names("abc"))
    types = {"q9.large": OfferedType(arm, True, zones), "q8.large": OfferedType(small, False, zones)}
    assert [str(problem) for problem in zone_problems(spec, replace(facts, types=types))] == [
        "node_groups[0].instance_type (s): q9.large: have ARM processors; "
        "need amd64, for which images are built. Choose a type with Intel or AMD",
        "node_groups[0].spot_config.instance_distribution (s): q8.large: have no spot instances of it; "
        "need them, as spot is true. Write spot: false, or choose another type",
        "node_groups[0].spot_config.instance_distribution (s): q8.large: have less than instance_type has: "
        "q8.large has 4 GiB of memory, and q9.large has 8 GiB of memory; need at least as much. "
        "Remove it from instance_distribution, or make it the instance_type",
    ]
