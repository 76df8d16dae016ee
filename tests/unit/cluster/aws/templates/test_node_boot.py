"""The start of a node: image, labels, taints and user data."""

from __future__ import annotations

import json
import subprocess
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.templates.node_boot import image_parameter, image_variant, taints, user_data
from support.cluster_templates import CPU, GPU, cluster, group_of

INFERENTIA = {"name": "inf", "instance_type": "inf1.xlarge"}
DISK = {**CPU, "name": "disk", "instance_volume_type": "sc1", "instance_volume_size": 125}


def parts_of(spec: ClusterSpec, name: str, capacity: str = "on-demand") -> list[Message]:
    text = user_data(spec, group_of(spec, name), capacity)["Fn::Base64"]["Fn::Sub"]
    message = message_from_string(text)
    assert message.is_multipart()
    return [part for part in message.walk() if not part.is_multipart()]


def config_of(part: Message) -> dict[str, object]:
    assert part.get_content_type() == "application/node.eks.aws"
    return json.loads(str(part.get_payload()))


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        *(("m5.large", "standard"), ("g5.xlarge", "nvidia"), ("p4d.24xlarge", "nvidia")),
        *(("inf1.xlarge", "neuron"), ("trn1.2xlarge", "neuron"), ("p99.48xlarge", "nvidia")),
        ("m99.large", "standard"),
    ],
)
def test_the_image_fits_the_instances(kind: str, variant: str) -> None:
    spec = cluster({"name": "any", "instance_type": kind}, kubernetes_version="1.34")
    assert image_variant(spec.node_groups[0]) == variant
    assert image_parameter(spec, spec.node_groups[0]) == (
        f"/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/{variant}/recommended/image_id"
    )


def test_a_node_joins_with_the_labels_of_its_group() -> None:
    (part,) = parts_of(cluster(CPU), "cpu", "spot")
    assert config_of(part) == {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {
            "cluster": {
                "name": "vision",
                "apiServerEndpoint": "${ClusterEndpoint}",
                "certificateAuthority": "${ClusterCertificate}",
                "cidr": "${ServiceRange}",
            },
            "kubelet": {"flags": ["--node-labels=gyrus.dev/node-group=cpu,gyrus.dev/capacity-type=spot"]},
        },
    }


def test_accelerators_are_kept_for_pods_that_request_them() -> None:
    spec = cluster(CPU, GPU, INFERENTIA)
    found = {group.name: taints(spec, group) for group in spec.node_groups}
    assert found == {
        "cpu": (),
        "gpu": ("nvidia.com/gpu=true:NoSchedule",),
        "inf": ("aws.amazon.com/neuron=true:NoSchedule",),
    }
    (part,) = parts_of(spec, "gpu")
    assert "--register-with-taints=nvidia.com/gpu=true:NoSchedule" in str(part.get_payload())


@pytest.mark.parametrize("others", [(), ({**CPU, "min_instances": 0, "max_instances": 0},)])
def test_the_platform_has_nodes_where_all_have_accelerators(others: tuple[dict[str, object], ...]) -> None:
    spec = cluster(GPU, *others)
    assert taints(spec, group_of(spec, "gpu")) == ()


@pytest.mark.processes
def test_a_second_volume_is_mounted_before_the_node_joins(tmp_path: Path) -> None:
    script, config = parts_of(cluster(DISK), "disk")
    assert script.get_content_type() == "text/x-shellscript"
    text = str(script.get_payload())
    assert "${" not in text  # CloudFormation would replace it
    assert "mkfs.xfs /dev/xvdb" in text
    subprocess.run(["bash", "-n"], input=text, text=True, check=True, cwd=tmp_path)
    assert config_of(config)["kind"] == "NodeConfig"
