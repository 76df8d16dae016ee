"""Orders of replicas that run while gyrus is upgraded are read as they were meant.

The files in ``earlier_orders`` were written by commit f4398a2, whose orders carried a specification.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gyrus.backends.local.folder import ReplicaFolder
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, Limits, Phase, ProcessConfig
from gyrus.contract.workload import Code, ComputeResources, Workload, WorkloadEnvironment
from support.backends import all_of, gone, local_world, observed, running

ID = "iris-3-aaaaa"
EARLIER = Path(__file__).parent / "earlier_orders"
SERVER = ProcessConfig(command=("python", "server.py"))

WORKLOADS = {
    "handler": Workload(
        code=Code(
            package="d1",
            handler=HandlerConfig(
                path="handler.py",
                config={"threshold": 0.5, "labels": ["a", None]},
                batch_max_size=4,
                batch_max_wait=0.02,
            ),
            processes=2,
            preload=Preload.MODEL,
        ),
        compute=ComputeResources(cpu=1.5, mem=512 * 2**20, gpu=1),
        environment=WorkloadEnvironment(requirements="needs.txt", variables={"LOG_LEVEL": "info"}),
        limits=Limits(max_concurrency=8, max_queue_length=26, timeout=90.0),
        grace=120.0,
    ),
    "process": Workload(
        code=Code(package="d1", process=ProcessConfig(command=("python", "server.py"), ready_path="/health")),
        compute=ComputeResources(cpu=0.2),
        limits=Limits(max_concurrency=3),
        grace=90.0,
    ),
    "least": Workload(
        code=Code(package="d1", process=SERVER),
        compute=ComputeResources(cpu=0.2),
        limits=Limits(max_concurrency=None),
        grace=90.0,
    ),
}


@pytest.mark.parametrize("name", WORKLOADS)
def test_an_order_with_a_specification_is_read(tmp_path: Path, name: str) -> None:
    shutil.copy(EARLIER / f"{name}.json", tmp_path / "order.json")
    assert ReplicaFolder(tmp_path).order() == ReplicaOrder(
        id=ID, api="iris", generation=3, revision=2, workload=WORKLOADS[name]
    )


@pytest.mark.processes
async def test_a_replica_that_was_ordered_before_the_upgrade_goes_on() -> None:
    made = ReplicaOrder(id=ID, api="iris", generation=3, revision=2, workload=WORKLOADS["least"])
    with local_world() as world:
        first = world.backend()
        async with running(first):
            await first.start(made)
            before = await observed(first, ID, Phase.READY)
        shutil.copy(EARLIER / "least.json", world.home.replicas / ID / "order.json")
        second = world.backend()
        await second.adopt()
        assert all_of(second) == {ID: before}
        async with running(second):
            await second.stop(ID, grace=10)
            await gone(second, ID)


def test_an_order_of_a_later_version_is_read_without_what_is_unknown(tmp_path: Path) -> None:
    folder = ReplicaFolder(tmp_path)
    made = ReplicaOrder(id=ID, api="iris", generation=3, revision=2, workload=WORKLOADS["handler"])
    folder.create(made)
    document = json.loads((tmp_path / "order.json").read_text())
    document["later"] = document["workload"]["later"] = {"more": 1}
    del document["workload"]["grace"], document["workload"]["restart"]
    (tmp_path / "order.json").write_text(json.dumps(document))
    again = folder.order()
    assert again
    assert again.workload.code == made.workload.code
    assert again.workload.grace == Workload(code=Code()).grace
