"""The table of instance types, and what the name of a type reveals."""

from __future__ import annotations

import re

import pytest

from gyrus.cluster.aws.instance_types import check_instance_type, known_types, less_than


def test_the_table_has_the_common_families() -> None:
    families = {name.partition(".")[0] for name in known_types()}
    assert families == {
        "t3", "m5", "m6i", "m7i", "c5", "c6i", "c7i", "r5", "r6i", "g4dn", "g5", "g6", "p4d", "p5",
        "inf1", "inf2", "m6g", "m7g", "c7g",
    }  # fmt: skip


def test_rows_are_plausible() -> None:
    for kind in known_types().values():
        assert kind.memory_mib / kind.vcpu >= 256, kind
        assert bool(kind.gpus) == bool(kind.gpu), kind
        assert (kind.architecture == "arm64") == (kind.name[:3] in ("m6g", "m7g", "c7g")), kind
    assert (known_types()["p5.48xlarge"].gpus, known_types()["inf2.48xlarge"].inferentia) == (8, 12)
    assert known_types()["m5.large"].memory_mib == 8192


def test_every_type_of_the_table_is_accepted_or_refused_for_a_reason() -> None:
    for kind in known_types().values():
        if kind.architecture == "arm64" or kind.name in ("t3.nano", "t3.micro"):
            with pytest.raises(ValueError, match=r"ARM processors|too small"):
                check_instance_type(kind.name)
        else:
            assert check_instance_type(kind.name) == kind.name


@pytest.mark.parametrize(
    "name",
    [
        "n5.large", "m8i.large", "m5dn.24xlarge", "c7i-flex.large", "u-6tb1.56xlarge", "u7i-12tb.224xlarge",
        "p6-b200.48xlarge", "trn1.2xlarge", "gr6.4xlarge", "m8i.metal-48xl", "x2iedn.metal",
    ],
)  # fmt: skip
def test_a_type_of_another_family_is_left_to_aws(name: str) -> None:
    assert name not in known_types()
    assert check_instance_type(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "m5", "large", "m5.", ".large", "M5.large", "m5 large", "m5.2large", "m5.3small", "m5.xxlarge",
        "m5.large.elasticsearch", "db.m5.large", "m5.large\n",
    ],
)  # fmt: skip
def test_a_malformed_name_is_no_type(name: str) -> None:
    with pytest.raises(ValueError, match="is not an instance type; "):
        check_instance_type(name)


@pytest.mark.parametrize(
    "family", ["m8g", "t4g", "c7gn", "r6gd", "a1", "im4gn", "is4gen", "g5g", "p6e-gb200"]
)
def test_a_type_with_arm_processors_is_refused_with_one_that_is_not(family: str) -> None:
    with pytest.raises(ValueError, match="has ARM processors, and images are built for amd64") as caught:
        check_instance_type(f"{family}.xlarge")
    proposed = re.search(r"[a-z0-9]+\.[a-z0-9]+$", str(caught.value))
    assert proposed is not None
    assert check_instance_type(proposed[0]) in known_types()


@pytest.mark.parametrize(
    ("kind", "primary", "why"),
    [
        ("m5.large", "m5.large", ""),
        ("m5.xlarge", "m5.large", ""),
        ("m5.large", "m5.xlarge", "m5.large has 2 vCPUs, and m5.xlarge has 4 vCPUs"),
        ("c5.large", "m5.large", "c5.large has 4 GiB of memory, and m5.large has 8 GiB of memory"),
        ("m5.8xlarge", "g5.xlarge", "m5.8xlarge has no GPU, and g5.xlarge has 1 GPU"),
        ("inf1.xlarge", "c5.large", "inf1.xlarge has 1 Inferentia chip, and c5.large has no Inferentia chip"),
    ],
)
def test_a_type_replaces_another_one_if_it_has_at_least_as_much(kind: str, primary: str, why: str) -> None:
    assert less_than(known_types()[kind], known_types()[primary]) == why
