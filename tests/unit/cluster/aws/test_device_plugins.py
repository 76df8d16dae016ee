from typing import Any

import pytest

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.device_plugins import device_plugins
from support.manifest_schemas import VERSIONS, check_manifest


def spec(*types: str) -> ClusterSpec:
    groups = [{"name": f"g{number}", "instance_type": name} for number, name in enumerate(types)]
    return ClusterSpec.model_validate({"region": "eu-west-1", "node_groups": groups})


def test_groups_without_accelerators_need_no_plugin():
    assert device_plugins(spec("m5.large")) == []


def test_each_kind_of_accelerators_has_a_plugin_on_its_groups_alone():
    found = device_plugins(spec("m5.large", "g5.xlarge", "inf1.xlarge", "g4dn.xlarge"))
    assert [each["metadata"]["name"] for each in found] == [
        "gyrus-nvidia-device-plugin",
        "gyrus-neuron-device-plugin",
    ]
    assert [_groups(each) for each in found] == [["g1", "g3"], ["g2"]]
    tolerated = [each["spec"]["template"]["spec"]["tolerations"][0]["key"] for each in found]
    assert tolerated == ["nvidia.com/gpu", "aws.amazon.com/neuron"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_plugins_are_valid(version: str):
    for manifest in device_plugins(spec("g5.xlarge", "inf1.xlarge")):
        check_manifest(manifest, version)


def _groups(manifest: dict[str, Any]) -> list[str]:
    affinity = manifest["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return terms[0]["matchExpressions"][0]["values"]
