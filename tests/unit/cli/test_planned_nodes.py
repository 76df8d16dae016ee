"""The reasons behind the nodes in ``gyrus cluster info``."""

from gyrus.cli.aws.inspection import CHANGES, plan_lines
from gyrus.contract.nodes import NodeChangeView, NodePoolView, NodesView


def test_a_plan_without_anything_to_report_has_no_lines():
    pool = NodePoolView(group="cpu", capacity_type="spot", desired=1, nodes=1)
    assert plan_lines(NodesView(scaler="gyrus", pools=(pool,))) == []


def test_what_cannot_be_had_comes_before_the_latest_changes():
    barred = NodePoolView(
        group="gpu",
        capacity_type="spot",
        desired=0,
        nodes=0,
        barred_until="2026-11-28T12:05:00Z",
        failure="no Spot capacity",
    )
    changes = tuple(NodeChangeView(time=f"t{number}", message=f"m{number}") for number in range(CHANGES + 1))
    planned = NodesView(
        scaler="gyrus",
        fault="the credentials lack ec2:DescribeInstances",
        pools=(barred,),
        unplaced=("a-1: no group has a GPU",),
        failures=("i-1 did not end",),
        changes=changes,
    )
    assert plan_lines(planned) == [
        "Nodes cannot be planned: the credentials lack ec2:DescribeInstances",
        "Without a node: a-1: no group has a GPU",
        "gpu/spot gets no new nodes until 2026-11-28T12:05:00Z: no Spot capacity",
        "Failed, and tried again: i-1 did not end",
        *(f"t{number}  m{number}" for number in range(1, CHANGES + 1)),
    ]
