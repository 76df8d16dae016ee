"""The driver of nodes in an operator: only with node groups that it plans."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.cluster.settings import ClusterSettings
from gyrus.contract.nodes import NodesView
from gyrus.operator.errors import StartError
from gyrus.operator.planned_nodes import group_prices, node_scaling, node_tasks
from gyrus.state.board import Board
from gyrus.state.memory import MemoryStore
from support.api_server import ApiServer

NODES = {
    "region": "eu-west-1",
    "cluster": "vision",
    "groups": [{"name": "cpu", "instance_type": "m5.large", "spot": True}],
}


def document(**changes: object) -> str:
    nodes = ClusterSettings.model_validate({"nodes": {**NODES, **changes}}).nodes
    assert nodes is not None
    return nodes.document


def tasks(text: str) -> tuple[list[str], Board]:
    board = Board()
    settings, clock = node_scaling(text), SystemClock()
    prices = group_prices(settings, clock)
    found = node_tasks(settings, prices, ApiServer().client(), MemoryStore(), board, clock)
    return list(found), board


def test_the_pod_gets_the_settings_as_they_were_written() -> None:
    settings = node_scaling(document(scaler="karpenter"))
    assert settings is not None
    assert settings.document == document(scaler="karpenter")
    assert (settings.scaler, settings.groups[0].spot) == ("karpenter", True)


def test_without_groups_there_is_no_driver() -> None:
    names, board = tasks("")
    assert (names, board.nodes) == ([], None)


def test_another_scaler_is_shown_and_nothing_is_planned() -> None:
    for scaler in ("karpenter", "none"):
        names, board = tasks(document(scaler=scaler))
        assert (names, board.nodes) == ([], NodesView(scaler=scaler))


def test_the_driver_runs_with_groups() -> None:
    names, board = tasks(document(notices="https://sqs.eu-west-1.amazonaws.com/123456789012/gyrus-vision"))
    assert (names, board.nodes) == (["nodes"], NodesView(scaler="gyrus"))


def test_damaged_settings_are_refused_with_the_place() -> None:
    with pytest.raises(StartError) as refused:
        node_scaling('{"region": "eu-west-1", "cluster": "vision", "groups": []}')
    assert str(refused.value) == (
        "The variable GYRUS_NODES cannot be read: groups: List should have at least 1 item after validation, "
        "not 0. Check nodes of the values file, and run `gyrus cluster install` again."
    )


@pytest.mark.processes
def test_an_operator_without_node_groups_imports_no_boto3() -> None:
    code = "import sys, gyrus.operator.cluster_platform; assert not {'boto3', 'botocore'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
