"""The operator's arguments for CloudWatch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.operator.cloudwatch import revision_of
from gyrus.state.board import Board
from support.world import replica

COMMAND = [sys.executable, "-m", "gyrus.operator", "--gateway-port", "1"]


def test_the_default_log_group_is_that_of_the_cluster() -> None:
    target = CloudWatchTarget.of("models", "eu-west-1")
    assert (target.log_group, target.namespace) == ("/gyrus/models", "gyrus/models")
    assert CloudWatchTarget.of("models", "eu-west-1", "/mine").log_group == "/mine"


def test_the_revision_of_a_replica_is_known_while_it_is_observed() -> None:
    board = Board(replicas={"iris": (replica("iris-3-abcde", generation=3),)})
    assert revision_of(board, "iris", "iris-3-abcde") == 3
    assert revision_of(board, "iris", "gone") == revision_of(board, "wine", "gone") == 0


@pytest.mark.processes
@pytest.mark.parametrize(
    ("given", "missing"), [("--cloudwatch-cluster=a", "region"), ("--cloudwatch-region=a", "cluster")]
)
def test_a_missing_argument_is_named(tmp_path: Path, given: str, missing: str) -> None:
    done = subprocess.run(
        [*COMMAND, "--home", str(tmp_path), given], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"gyrus: --cloudwatch-{missing} is missing: CloudWatch needs a cluster's name and a region. Check "
        "cloudwatch of the values file.\n"
    )
