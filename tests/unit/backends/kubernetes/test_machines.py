"""The nodes of a cluster as machines."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gyrus.backends.kubernetes.capacity import HeldPlace
from gyrus.backends.kubernetes.machines import PlacedReplica, machines_of
from gyrus.backends.protocol import HeldAmount, RunningMachine
from gyrus.contract.operator import AmountView
from gyrus.kubernetes.resources import Manifest


def node(labels: dict[str, str] | None = None, **spec: Any) -> Manifest:
    return {
        "metadata": {"labels": labels or {}},
        "spec": spec,
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}},
    }


def one(found: Manifest) -> RunningMachine:
    [machine] = machines_of({"a": found}, [])
    return machine


def test_a_machine_holds_what_its_replicas_request() -> None:
    place = HeldPlace(node="a", amounts={"cpu": Decimal("0.5"), "memory": Decimal(2**30)})
    [machine] = machines_of({"a": node()}, [PlacedReplica("iris", place)])
    assert machine.total == AmountView(cpu=4, mem=8 * 2**30, gpu=0)
    assert machine.held == (HeldAmount(api="iris", amount=AmountView(cpu=0.5, mem=2**30, gpu=0)),)


def test_an_instance_of_aws_has_its_type_region_and_zone() -> None:
    labels = {
        "node.kubernetes.io/instance-type": "m5.large",
        "eks.amazonaws.com/capacityType": "SPOT",
        "topology.kubernetes.io/region": "eu-west-1",
        "topology.kubernetes.io/zone": "eu-west-1a",
    }
    machine = one(node(labels, providerID="aws:///eu-west-1a/i-0123"))
    assert (machine.instance_type, machine.spot) == ("m5.large", True)
    assert (machine.region, machine.zone) == ("eu-west-1", "eu-west-1a")


def test_a_node_elsewhere_has_no_region_of_aws() -> None:
    assert one(node({"topology.kubernetes.io/region": "europe-west1"}, providerID="gce://x")).region == ""


@pytest.mark.parametrize(
    ("text", "price"), [("0.25", 0.25), ("0", 0.0), ("", None), ("cheap", None), ("-1", None), ("inf", None)]
)
def test_a_label_states_the_price(text: str, price: float | None) -> None:
    assert one(node({"gyrus.dev/price-per-hour": text})).price == price


def test_an_unused_node_of_the_control_plane_is_left_out() -> None:
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    nodes = {"main": node(taints=[taint]), "a": node()}
    assert [machine.name for machine in machines_of(nodes, [])] == ["a"]
    place = HeldPlace(node="main", amounts={})
    assert len(machines_of(nodes, [PlacedReplica("iris", place)])) == 2
