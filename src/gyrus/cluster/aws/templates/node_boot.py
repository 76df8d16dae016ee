"""The start of a node: its image, its labels and taints, and its user data. Pure.

Nodes run Amazon Linux 2023 in the image that EKS recommends, and ``nodeadm`` joins them to the cluster.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.node_group import NodeGroup
from gyrus.cluster.aws.resource_names import CAPACITY_TAG, GROUP_TAG

ImageVariant = Literal["standard", "nvidia", "neuron"]

ROOT_DEVICE, DATA_DEVICE = "/dev/xvda", "/dev/xvdb"
NO_BOOT = ("st1", "sc1")
"""Types of volumes that no instance starts from: they are a second volume, for images and pods."""
TAINTS = {"nvidia": "nvidia.com/gpu", "neuron": "aws.amazon.com/neuron"}
"""Taints of nodes with accelerators, by the image. Each is the name of the resource that pods request: EKS
adds the toleration to pods that do (``ExtendedResourceToleration``)."""

_GPU = re.compile(r"(p|g|gr)\d.*")
_NEURON = re.compile(r"(inf|trn)\d.*")
_BOUNDARY = "==gyrus=="
DISK_SCRIPT = f"""\
#!/bin/bash
set -euo pipefail
until [ -b {DATA_DEVICE} ]; do sleep 1; done
if ! blkid {DATA_DEVICE}; then mkfs.xfs {DATA_DEVICE}; fi
mkdir -p /mnt/data
echo "{DATA_DEVICE} /mnt/data xfs defaults,noatime 0 2" >> /etc/fstab
mount /mnt/data
for folder in containerd kubelet; do
  mkdir -p /mnt/data/$folder /var/lib/$folder
  cp -a /var/lib/$folder/. /mnt/data/$folder/
  echo "/mnt/data/$folder /var/lib/$folder none bind 0 0" >> /etc/fstab
  mount /var/lib/$folder
done
"""
"""Puts the images and the pods' files on the second volume, before nodeadm starts containerd and kubelet."""


def image_variant(group: NodeGroup) -> ImageVariant:
    """Return the kind of image that the group's instance types need."""
    kind = known_types().get(group.instance_type)
    family = group.instance_type.partition(".")[0]
    if _NEURON.fullmatch(family) or (kind and kind.inferentia):
        return "neuron"
    return "nvidia" if _GPU.fullmatch(family) or (kind and kind.gpus) else "standard"


def image_parameter(spec: ClusterSpec, group: NodeGroup) -> str:
    """Return the name of the parameter of Systems Manager with the ID of the recommended image."""
    folder = f"/aws/service/eks/optimized-ami/{spec.kubernetes_version}/amazon-linux-2023/x86_64"
    return f"{folder}/{image_variant(group)}/recommended/image_id"


def taints(spec: ClusterSpec, group: NodeGroup) -> tuple[str, ...]:
    """Return the taints by which pods without accelerators stay off the group.

    There are none if every group has accelerators: the platform's own pods would have no node.
    """
    others = (each for each in spec.node_groups if each.max_instances and image_variant(each) == "standard")
    key = TAINTS.get(image_variant(group)) if any(others) else None
    return (f"{key}=true:NoSchedule",) if key else ()


def labels(group: NodeGroup, capacity: str) -> dict[str, str]:
    return {GROUP_TAG: group.name, CAPACITY_TAG: capacity}


def user_data(spec: ClusterSpec, group: NodeGroup, capacity: str) -> dict[str, Any]:
    """Return the user data of instances.

    The stack's parameters fill in the address and the authority of the cluster.
    """
    flags = [f"--node-labels={','.join(f'{key}={value}' for key, value in labels(group, capacity).items())}"]
    if found := taints(spec, group):
        flags.append(f"--register-with-taints={','.join(found)}")
    cluster = {
        "name": spec.cluster_name,
        "apiServerEndpoint": "${ClusterEndpoint}",
        "certificateAuthority": "${ClusterCertificate}",
        "cidr": "${ServiceRange}",
    }
    config = {
        "apiVersion": "node.eks.aws/v1alpha1",
        "kind": "NodeConfig",
        "spec": {"cluster": cluster, "kubelet": {"flags": flags}},
    }
    parts = [("application/node.eks.aws", json.dumps(config, indent=2))]
    if group.instance_volume_type in NO_BOOT:
        parts.insert(0, ("text/x-shellscript; charset=us-ascii", DISK_SCRIPT))
    return {"Fn::Base64": {"Fn::Sub": _message(parts)}}


def _message(parts: list[tuple[str, str]]) -> str:
    """Return the parts as one text of the form MIME."""
    head = f'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n'
    body = "".join(f"--{_BOUNDARY}\nContent-Type: {kind}\n\n{text.rstrip()}\n\n" for kind, text in parts)
    return f"{head}{body}--{_BOUNDARY}--\n"
