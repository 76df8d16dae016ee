"""Valid clusters on AWS, of every shape."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types

REGION = "us-east-1"
TYPES = [f"m5.{size}" for size in ("large", "xlarge", "2xlarge")]
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True).filter(
    lambda name: not re.fullmatch(r"[0-9]+(e[0-9]+)?|0[box][0-9a-f]+", name)  # a number unless it is quoted
)
zones = st.lists(st.sampled_from([f"{REGION}{letter}" for letter in "abcdef"]), min_size=2, unique=True)
identifiers = st.text("0123456789abcdef", min_size=17, max_size=17)
networks = st.tuples(st.integers(16, 24), st.integers(0, 255)).map(lambda pair: f"10.{pair[1]}.0.0/{pair[0]}")
tags = st.dictionaries(
    st.from_regex(r"[A-Z][A-Za-z0-9_.:/=+@-]{0,20}", fullmatch=True),
    st.from_regex(r"[A-Z0-9][A-Za-z0-9_.:/=+@-]{0,20}", fullmatch=True),
    max_size=3,
).filter(lambda found: not any(text.lower().startswith("aws:") for pair in found.items() for text in pair))


@st.composite
def volumes(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["gp2", "gp3", "io1", "st1", "sc1"]))
    size = draw(st.integers(125 if kind in ("st1", "sc1") else 20, 16_384))
    found: dict[str, Any] = {"instance_volume_type": kind, "instance_volume_size": size}
    if kind == "io1" and draw(st.booleans()):
        found["instance_volume_iops"] = draw(st.integers(100, min(64_000, 50 * size)))
    if kind == "gp3" and draw(st.booleans()):
        iops = draw(st.integers(3000, min(16_000, 500 * size)))
        found["instance_volume_iops"] = iops
        found["instance_volume_throughput"] = draw(st.none() | st.integers(125, min(1000, iops // 4)))
    return found


@st.composite
def node_groups(draw: st.DrawFn, name: str) -> dict[str, Any]:
    most = draw(st.integers(1, 1000))
    found: dict[str, Any] = {
        "name": name,
        "instance_type": "m5.large",
        "min_instances": draw(st.integers(0, most)),
        "max_instances": most,
        "priority": draw(st.integers(1, 100)),
        **draw(volumes()),
    }
    if draw(st.booleans()):
        found["spot"] = True
        found["spot_config"] = draw(st.none() | spot_configs(most))
    else:
        usable = [
            kind.name
            for kind in known_types().values()
            if kind.architecture == "amd64" and kind.memory_mib >= 2048
        ]
        found["instance_type"] = draw(st.sampled_from([*usable, "m99.4xlarge"]))
    return found


def spot_configs(most: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "instance_distribution": st.lists(st.sampled_from(TYPES), unique=True),
            "on_demand_base_capacity": st.integers(0, most),
            "on_demand_percentage_above_base_capacity": st.integers(0, 100),
            "max_price": st.none() | st.floats(0.001, 100, allow_nan=False),
            "instance_pools": st.none() | st.integers(1, 20),
        },
    )


@st.composite
def subnets(draw: st.DrawFn) -> list[dict[str, str]]:
    ids = draw(st.lists(identifiers, min_size=2, max_size=6, unique=True))
    chosen = draw(zones)
    return [
        {"availability_zone": chosen[number % len(chosen)], "subnet_id": f"subnet-{name}"}
        for number, name in enumerate(ids)
    ]


@st.composite
def network_fields(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of the network that go together."""
    visibility = draw(st.sampled_from(["public", "private"]))
    found: dict[str, Any] = {"subnet_visibility": visibility}
    if draw(st.booleans()):
        found["subnets"] = draw(subnets())
        found["vpc_id"] = draw(st.none() | identifiers.map("vpc-{}".format))
        return found
    nats = ["single", "highly_available", None] + (["none"] if visibility == "public" else [])
    found["nat_gateway"] = draw(st.sampled_from(nats))
    found["vpc_cidr"] = draw(st.just("192.168.0.0/16") | st.just("172.20.0.0/16"))
    if draw(st.booleans()):
        found["availability_zones"] = draw(zones)
    return found


@st.composite
def clusters(draw: st.DrawFn) -> dict[str, Any]:
    """The fields of a valid cluster.yaml."""
    groups = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return {
        "region": REGION,
        "cluster_name": draw(st.from_regex(r"[a-z0-9]{1,5}(-[a-z0-9]{2,5}){1,3}", fullmatch=True)),
        "kubernetes_version": draw(st.sampled_from(["1.32", "1.35", "1.40"])),
        "scaler": draw(st.sampled_from(["gyrus", "karpenter", "none"])),
        "node_groups": [draw(node_groups(name)) for name in groups],
        **draw(network_fields()),
        "api_load_balancer_cidr_white_list": draw(
            st.lists(st.just("203.0.113.0/24"), min_size=1, max_size=1)
        ),
        "tags": draw(tags),
        "iam_policy_arns": draw(st.lists(st.just("arn:aws:iam::aws:policy/A"), max_size=1)),
        "cloudwatch": draw(st.booleans()),
        "gyrus": {"store": draw(st.sampled_from(["volume", "postgresql://db.example.com:5432/gyrus"]))},
    }


cluster_specs = clusters().map(ClusterSpec.model_validate)
