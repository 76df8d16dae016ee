"""The stack of a node group: launch templates and Auto Scaling groups."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.templates.account_facts import AccountFacts
from gyrus.cluster.aws.templates.base_stack import OUTPUTS, render_base
from gyrus.cluster.aws.templates.document import LARGEST_BODY, body, rendered
from gyrus.cluster.aws.templates.group_stack import PARAMETERS, render_group, smallest_sizes
from strategies.clusters import cluster_specs
from support.cluster_templates import CPU, GPU, SPOT, cluster, dangling, group_of, of_type, tags_of


@settings(max_examples=40, deadline=None)
@given(cluster_specs)
def test_every_group_has_a_sound_template(spec: ClusterSpec) -> None:
    base = render_base(spec, AccountFacts())
    for group in spec.node_groups:
        template = render_group(spec, group)
        assert dangling(template) == set()
        assert rendered(template) == rendered(render_group(spec, group.model_copy(deep=True)))
        assert len(body(template).encode()) <= LARGEST_BODY
        assert set(PARAMETERS) <= set(base["Outputs"])
        for scaling in of_type(template, "AutoScaling::AutoScalingGroup").values():
            assert "DesiredCapacity" not in scaling
            assert {*spec.tags.items(), ("gyrus.dev/cluster", spec.cluster_name)} <= tags_of(scaling).items()
        for launch in of_type(template, "EC2::LaunchTemplate").values():
            for tagged in (*launch["TagSpecifications"], *launch["LaunchTemplateData"]["TagSpecifications"]):
                assert spec.tags.items() <= tags_of(tagged).items()
        sizes = smallest_sizes(group)
        assert sum(sizes.values()) == group.min_instances
        assert min(sizes.values()) >= 0


def test_parameters_are_outputs_of_the_base_stack() -> None:
    assert set(PARAMETERS) <= set(OUTPUTS)


def test_a_group_on_demand() -> None:
    spec = cluster(CPU, tags={"team": "vision"})
    template = render_group(spec, spec.node_groups[0])
    assert list(template["Resources"]) == ["OnDemandLaunchTemplate", "OnDemandGroup"]
    scaling = of_type(template, "AutoScaling::AutoScalingGroup")["OnDemandGroup"]
    tags = scaling.pop("Tags")
    assert scaling == {
        "AutoScalingGroupName": "gyrus-vision--cpu.on-demand",
        "MinSize": "0",
        "MaxSize": "5",
        "VPCZoneIdentifier": {"Ref": "Subnets"},
        "MixedInstancesPolicy": {
            "InstancesDistribution": {
                "OnDemandBaseCapacity": 0,
                "OnDemandPercentageAboveBaseCapacity": 100,
                "OnDemandAllocationStrategy": "lowest-price",
            },
            "LaunchTemplate": {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": {"Ref": "OnDemandLaunchTemplate"},
                    "Version": {"Fn::GetAtt": ["OnDemandLaunchTemplate", "LatestVersionNumber"]},
                },
                "Overrides": [{"InstanceType": "m5.large"}],
            },
        },
        "NewInstancesProtectedFromScaleIn": True,
        "CapacityRebalance": False,
        "Cooldown": "0",
        "HealthCheckType": "EC2",
    }
    assert all(tag["PropagateAtLaunch"] for tag in tags)
    assert tags_of({"Tags": tags}) == {
        "team": "vision",
        "gyrus.dev/cluster": "vision",
        "gyrus.dev/node-group": "cpu",
        "gyrus.dev/capacity-type": "on-demand",
        "kubernetes.io/cluster/vision": "owned",
        "Name": "gyrus-vision--cpu.on-demand",
    }


def test_an_instance_is_encrypted_and_hides_its_credentials_from_pods() -> None:
    spec = cluster(CPU)
    launch = of_type(render_group(spec, spec.node_groups[0]), "EC2::LaunchTemplate")["OnDemandLaunchTemplate"]
    data = launch["LaunchTemplateData"]
    assert data["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
    }
    assert data["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/xvda",
            "Ebs": {
                "Encrypted": True,
                "DeleteOnTermination": True,
                "VolumeType": "gp3",
                "VolumeSize": 50,
                "Iops": 3000,
                "Throughput": 125,
            },
        }
    ]
    assert data["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is True
    assert data["NetworkInterfaces"][0]["Groups"] == [{"Ref": "SecurityGroup"}]


def test_spot_instances_have_an_on_demand_twin() -> None:
    spec = cluster(SPOT)
    groups = of_type(render_group(spec, spec.node_groups[0]), "AutoScaling::AutoScalingGroup")
    assert [each["AutoScalingGroupName"] for each in groups.values()] == [
        "gyrus-vision--cpu-spot.on-demand",
        "gyrus-vision--cpu-spot.spot",
    ]
    policy = groups["SpotGroup"]["MixedInstancesPolicy"]
    assert policy["InstancesDistribution"] == {
        "OnDemandBaseCapacity": 0,
        "OnDemandPercentageAboveBaseCapacity": 0,
        "OnDemandAllocationStrategy": "lowest-price",
        "SpotAllocationStrategy": "price-capacity-optimized",
        "SpotMaxPrice": "0.1",
    }
    assert policy["LaunchTemplate"]["Overrides"] == [
        {"InstanceType": "m5.large"},
        {"InstanceType": "m5.xlarge"},
    ]


def test_a_number_of_spot_pools_is_respected() -> None:
    spec = cluster({**SPOT, "spot_config": {"instance_pools": 2}})
    groups = of_type(render_group(spec, spec.node_groups[0]), "AutoScaling::AutoScalingGroup")
    found = groups["SpotGroup"]["MixedInstancesPolicy"]["InstancesDistribution"]
    assert (found["SpotAllocationStrategy"], found["SpotInstancePools"]) == ("lowest-price", 2)


@pytest.mark.parametrize(
    ("config", "sizes"),
    [
        ({}, {"on-demand": 0, "spot": 7}),
        ({"on_demand_base_capacity": 2}, {"on-demand": 2, "spot": 5}),
        ({"on_demand_base_capacity": 9}, {"on-demand": 7, "spot": 0}),
        (
            {"on_demand_base_capacity": 2, "on_demand_percentage_above_base_capacity": 50},
            {"on-demand": 5, "spot": 2},
        ),
    ],
)
def test_smallest_sizes(config: dict[str, Any], sizes: dict[str, int]) -> None:
    spec = cluster({**SPOT, "min_instances": 7, "spot_config": config})
    assert smallest_sizes(spec.node_groups[0]) == sizes


def test_without_a_planner_auto_scaling_keeps_the_smallest_size() -> None:
    spec = cluster({**SPOT, "min_instances": 3, "spot_config": {"on_demand_base_capacity": 1}}, scaler="none")
    groups = of_type(render_group(spec, spec.node_groups[0]), "AutoScaling::AutoScalingGroup")
    found = {
        name: (each["MinSize"], each["NewInstancesProtectedFromScaleIn"], each["CapacityRebalance"])
        for name, each in groups.items()
    }
    assert found == {"OnDemandGroup": ("1", False, False), "SpotGroup": ("2", False, True)}


def test_a_disk_that_cannot_boot_is_a_second_one() -> None:
    spec = cluster({**CPU, "instance_volume_type": "st1", "instance_volume_size": 500})
    launch = of_type(render_group(spec, spec.node_groups[0]), "EC2::LaunchTemplate")["OnDemandLaunchTemplate"]
    volumes = launch["LaunchTemplateData"]["BlockDeviceMappings"]
    found = {each["DeviceName"]: each["Ebs"] for each in volumes}
    assert {device: (each["VolumeType"], each["VolumeSize"]) for device, each in found.items()} == {
        "/dev/xvda": ("gp3", 20),
        "/dev/xvdb": ("st1", 500),
    }
    assert "Iops" not in found["/dev/xvdb"]


def test_private_nodes_have_no_public_address() -> None:
    spec = cluster(CPU, GPU, subnet_visibility="private")
    for group in ("cpu", "gpu"):
        template = render_group(spec, group_of(spec, group))
        launch = of_type(template, "EC2::LaunchTemplate")["OnDemandLaunchTemplate"]
        assert launch["LaunchTemplateData"]["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False


def test_twenty_groups_are_rendered_at_once() -> None:
    spec = cluster(*({**SPOT, "name": f"group-{number}"} for number in range(20)))
    started = time.process_time()
    texts = {rendered(render_group(spec, group)) for group in spec.node_groups}
    assert time.process_time() - started < 0.2
    assert len(texts) == 20
