"""From what the user asked for to what replicas run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.fork_server import Preload
from gyrus.contract.replica import HandlerConfig, ProcessConfig, RestartPolicy
from gyrus.contract.workload import ComputeResources, Workload, WorkloadEnvironment
from gyrus.spec.realtime import RealtimeSpec


def workload(**fields: object) -> Workload:
    return RealtimeSpec.model_validate({"name": "iris"} | fields).workload("d")


def test_a_handler() -> None:
    handler = {
        "path": "handler.py",
        "config": {"a": 1},
        "requirements": "needs.txt",
        "warm_start": "model",
        "processes": 2,
        "batching": {"max_size": 2, "max_wait": "20ms"},
    }
    compute = {"cpu": "500m", "mem": "1Gi", "gpu": 1}
    found = workload(handler=handler, timeout="10s", compute=compute, env={"KEY": "value"})
    assert found.code.package == "d"
    assert found.code.handler == HandlerConfig(
        path="handler.py", config={"a": 1}, batch_max_size=2, batch_max_wait=0.02
    )
    assert (found.code.processes, found.code.preload) == (2, Preload.MODEL)
    assert found.compute == ComputeResources(cpu=0.5, mem=2**30, gpu=1)
    assert found.environment == WorkloadEnvironment(requirements="needs.txt", variables={"KEY": "value"})
    assert (found.limits.max_concurrency, found.limits.timeout, found.grace) == (2, 10.0, 40.0)
    assert found.restart is RestartPolicy.ALWAYS
    assert not found.queue_proxy


def test_a_server_that_is_not_ours() -> None:
    process = {"command": ["serve", "$PORT"], "ready": {"path": "/health"}}
    found = workload(process=process)
    assert found.code.process == ProcessConfig(command=("serve", "$PORT"), ready_path="/health")
    assert (found.code.preload, found.limits.max_concurrency, found.queue_proxy) == (None, None, False)
    assert workload(process=process, max_concurrency=3).queue_proxy


def test_what_replicas_do_not_see_does_not_change_their_workload() -> None:
    handler = {"path": "handler.py"}
    assert workload(handler=handler) == workload(handler=handler, autoscaling={"max_replicas": 7})
    assert workload(handler=handler) != workload(handler=handler, env={"A": "b"})


@given(st.integers(1, 64), st.integers(0, 1000), st.integers(0, 1000))
def test_processes_share_slots_and_queue(processes: int, more: int, queue: int) -> None:
    handler, slots = {"path": "h.py", "processes": processes}, processes + more
    limits = workload(handler=handler, max_concurrency=slots, max_queue_length=queue).limits
    assert limits.max_concurrency
    assert limits.max_concurrency * processes <= slots
    assert queue <= limits.max_queue_length * processes < queue + processes


def test_the_largest_body_is_a_limit_of_the_replica_and_of_the_route() -> None:
    spec = RealtimeSpec.model_validate({"name": "a", "handler": {"path": "handler.py"}, "max_body": "64Ki"})
    assert spec.workload(None).limits.max_body == spec.serving.max_body == 64 * 1024
    usual = RealtimeSpec.model_validate({"name": "a", "handler": {"path": "handler.py"}})
    assert usual.workload(None).limits.max_body == 32 * 2**20
    assert "max_body" not in usual.model_dump(exclude_defaults=True)


def test_a_batch_waits_as_long_as_it_pays_unless_a_time_is_set() -> None:
    def wait(**batching: str) -> float | None:
        found = workload(handler={"path": "h.py", "batching": batching}).code.handler
        assert found
        return found.batch_max_wait

    assert (wait(), wait(max_wait="auto"), wait(max_wait="0ms"), wait(max_wait="1s")) == (
        None,
        None,
        0.0,
        1.0,
    )


CONTAINERS = [
    {"name": "api", "image": "words:1", "args": ["--port", "$(CORTEX_PORT)"], "compute": {"mem": "1Gi"}},
    {"name": "cache", "image": "cache:1", "compute": {"cpu": "100m", "mem": "512Mi", "gpu": 1}},
]


def test_a_pod() -> None:
    found = workload(pod={"port": 9000, "max_queue_length": 7, "containers": CONTAINERS})
    group = found.code.group
    assert group is not None
    assert (group.port, group.cortex, [one.name for one in group.containers]) == (
        9000,
        True,
        ["api", "cache"],
    )
    assert group.containers[0].args == ("--port", "$(CORTEX_PORT)")
    assert found.compute == ComputeResources(cpu=0.3, mem=1536 * 2**20, gpu=1)
    assert (found.limits.max_concurrency, found.limits.max_queue_length) == (1, 7)
    assert (found.code.package, found.code.handler, found.code.process) == (None, None, None)


def test_memory_has_no_limit_if_one_containers_has_none() -> None:
    without = [CONTAINERS[0], {"name": "cache", "image": "cache:1"}]
    assert workload(pod={"containers": without}).compute.mem is None


def test_a_process_with_an_image_is_a_container() -> None:
    found = workload(process={"image": "chat:1", "command": ["serve", "$PORT", "$(date)"]}, env={"A": "$(B)"})
    group = found.code.group
    assert group is not None
    (server,) = group.containers
    assert (group.port, group.cortex, server.command) == (8000, False, ("serve", "8000", "$$(date)"))
    assert server.variables == {"A": "$$(B)", "PORT": "8000"}
    assert found.code.process is None


def test_files_of_the_project_change_no_revision_of_an_image() -> None:
    for source in ({"process": {"image": "chat:1"}}, {"pod": {"containers": CONTAINERS}}):
        spec = RealtimeSpec.model_validate({"name": "iris", **source})
        assert spec.digest("one") == spec.digest("another")
    handler = RealtimeSpec.model_validate({"name": "iris", "handler": {"path": "h.py", "image": "iris:1"}})
    assert handler.digest("one") != handler.digest("another")


def test_placement() -> None:
    found = workload(
        process={"command": ["serve"]},
        node_groups=["spot", "on-demand"],
        node_selector={"disktype": "ssd"},
        tolerations=[{"key": "gpu", "operator": "Exists"}],
        priority="high",
    ).placement
    assert (found.node_groups, found.node_selector) == (("spot", "on-demand"), {"disktype": "ssd"})
    assert (found.tolerations[0].key, found.tolerations[0].operator) == ("gpu", "Exists")
    assert found.priority == "high"
