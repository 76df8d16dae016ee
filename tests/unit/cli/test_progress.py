"""The lines of a rollout's progress."""

from __future__ import annotations

import dataclasses

import pytest

from gyrus.cli.progress import PlainDisplay
from gyrus.client.client import Client
from gyrus.client.rollout import RolloutProgress
from gyrus.contract.operator import ApiDescription, ReplicaView
from gyrus.contract.replica import Phase, ReplicaStatus
from support.operator_thread import Operator
from support.project import Project, handler_api

HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"


@pytest.fixture
def description(operator: Operator) -> ApiDescription:
    """The description of an API, to be changed."""
    folder = Project(operator.home.root.parent / "project").write(handler_api("iris"), handler=HANDLER)
    with Client() as client:
        client.deploy(folder)
        return client.describe("iris")


def view(id: str, generation: int, phase: Phase) -> ReplicaView:
    status = ReplicaStatus(id=id, api="iris", revision=generation, phase=phase)
    return ReplicaView(status=status, generation=generation, up_to_date=generation == 2, routed=True)


def test_an_old_replica_drains_after_the_new_one_is_ready(
    description: ApiDescription, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are seen at once, the oldest replica first."""
    replicas = (
        view("old", 1, Phase.DRAINING),
        view("new", 2, Phase.READY),
        view("next", 2, Phase.STARTING),
    )
    seen = dataclasses.replace(description, replicas=replicas)
    PlainDisplay().update(RolloutProgress(name="iris", generation=2, description=seen, rollout=None))
    assert capsys.readouterr().err.splitlines() == [
        "iris: new: ready",
        "iris: old: draining",
        "iris: next: starting",
    ]
