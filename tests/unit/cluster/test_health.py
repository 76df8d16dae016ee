"""The reasons why operator and gateways are not ready, from the objects of a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.cluster.health import HASH_LABEL, Observed, PartHealth, parts, reasons_of
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest
from support.kubernetes_cluster import MemoryCluster


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"image": image}]}}


def deployment(
    name: str, requested: int, available: int, *, updated: int | None = None, **status: Any
) -> Manifest:
    count = requested if updated is None else updated
    return {
        "metadata": {"name": name, "generation": 2, "uid": "d", "annotations": {}},
        "spec": {"replicas": requested, "template": template("new")},
        "status": {
            "observedGeneration": 2, "replicas": requested, "updatedReplicas": count,
            "availableReplicas": available, **status,
        },
    }  # fmt: skip


def replica_set(uid: str) -> Manifest:
    owners = [{"uid": "d", "controller": True}]
    own = template(uid)
    own["metadata"]["labels"][HASH_LABEL] = "abc"
    return {"metadata": {"uid": uid, "ownerReferences": owners}, "spec": {"template": own}}


REPLICA_SETS = {"old": replica_set("old"), "new": replica_set("new")}


def pod(
    status: dict[str, Any], *, volumes: list[dict[str, Any]] | None = None, owner: str = "new"
) -> Manifest:
    return {
        "metadata": {
            "name": "gyrus-operator-x", "uid": "1", "creationTimestamp": "2026-11-28T01:00:00Z",
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"volumes": volumes or []},
        "status": status,
    }  # fmt: skip


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "operator", "image": "localhost/gyrus:1", "state": state, **more}]}


def unscheduled(message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "message": message}]}


def operator(
    found: Manifest, *, claims: dict[str, Manifest] | None = None, events: tuple[Manifest, ...] = ()
) -> PartHealth:
    """The operator's health with this one pod, which is not ready."""
    observed = Observed(
        deployments={names.OPERATOR: deployment(names.OPERATOR, 1, 0)},
        replica_sets=REPLICA_SETS,
        pods={"gyrus-operator-x": found},
        claims=claims or {},
        events=events,
    )
    return parts(observed)[0]


def test_ready_parts_are_healthy() -> None:
    deployments = {
        name: deployment(name, count, count) for name, count in ((names.OPERATOR, 1), (names.GATEWAY, 2))
    }
    found = parts(Observed(deployments=deployments, replica_sets={}, pods={}, claims={}))
    assert [str(part) for part in found] == [
        "gyrus-operator: 1 of 1 ready",
        "gyrus-gateway: 2 of 2 ready",
    ]
    assert all(part.healthy for part in found)


@pytest.mark.parametrize("status", [{"updated": 1}, {"observedGeneration": 1}, {"replicas": 3}])
def test_old_pods_do_not_count(status: dict[str, Any]) -> None:
    gateways = deployment(names.GATEWAY, 2, 2, **status)
    found = parts(Observed(deployments={names.GATEWAY: gateways}, replica_sets={}, pods={}, claims={}))
    assert not found[1].healthy


def test_a_missing_deployment() -> None:
    [part, _] = parts(Observed(deployments={}, replica_sets={}, pods={}, claims={}))
    assert str(part) == "gyrus-operator: 0 of 1 ready: the Deployment gyrus-operator does not exist"


@pytest.mark.parametrize(
    ("waiting", "message", "final"),
    [
        (
            {"reason": "ErrImagePull", "message": 'failed: "localhost/gyrus:1": not found'},
            "the image localhost/gyrus:1 cannot be pulled: it was not found",
            False,
        ),
        (
            {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "localhost/gyrus:1"'},
            "the image localhost/gyrus:1 cannot be pulled",
            True,
        ),
        (
            {"reason": "ErrImagePull", "message": "pull access denied, unauthorized"},
            "the image localhost/gyrus:1 cannot be pulled: its registry demands credentials",
            False,
        ),
        (
            {"reason": "CreateContainerConfigError", "message": 'secret "a" not found.'},
            'gyrus-operator-x: CreateContainerConfigError: secret "a" not found',
            False,
        ),
    ],
)
def test_containers_that_wait(waiting: dict[str, str], message: str, final: bool) -> None:
    problem = operator(pod(container({"waiting": waiting}))).problem
    assert problem is not None
    assert (problem.message, problem.final) == (message, final)


def test_the_pods_of_an_earlier_manifest_do_not_count() -> None:
    waiting = container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}})
    assert operator(pod(waiting, owner="old")).problem is None
    assert operator(pod(waiting)).problem is not None


def test_an_event_has_the_cause_while_the_kubelet_backs_off() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    failed = {
        "type": "Warning", "involvedObject": {"uid": "1"}, "lastTimestamp": "2026-11-28T01:00:00Z",
        "message": 'Failed to pull image "a": rpc error: code = Unknown desc = dial tcp: no such host',
    }  # fmt: skip
    problem = operator(pod(container(waiting)), events=(failed,)).problem
    assert problem is not None
    assert problem.message.endswith("cannot be pulled: its registry's name is unknown")


def test_a_container_that_is_being_created_has_no_problem() -> None:
    part = operator(pod(container({"waiting": {"reason": "ContainerCreating"}})))
    assert str(part) == "gyrus-operator: 0 of 1 ready: starting"


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        ({"exitCode": 3, "reason": "Error"}, "gyrus-operator-x ended with exit code 3"),
        (
            {"exitCode": 137, "reason": "OOMKilled"},
            "gyrus-operator-x was killed: it used more memory than its limit",
        ),
    ],
)
def test_containers_that_end(ended: dict[str, Any], message: str) -> None:
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    problem = operator(
        pod(container(waiting, lastState={"terminated": {**ended, "message": "a\nb\n"}}))
    ).problem
    assert problem is not None
    assert (problem.message, problem.last_lines) == (message, ("a", "b"))


def test_a_pod_without_a_node() -> None:
    part = operator(pod(unscheduled("0/2 nodes are available: 2 Insufficient cpu.")))
    assert str(part) == (
        "gyrus-operator: 0 of 1 ready: no node can run the pod gyrus-operator-x: "
        "0/2 nodes are available: 2 Insufficient cpu"
    )


@pytest.mark.parametrize(
    ("storage", "events", "message"),
    [
        ({}, (), "is pending: the cluster has no default storage class"),
        ({"storageClassName": "fast"}, (), "is pending"),
        (
            {"storageClassName": "fast"},
            (
                {
                    "type": "Warning", "lastTimestamp": "2026-11-28T01:00:00Z", "message": "no such class.",
                    "involvedObject": {"uid": "2"},
                },
            ),
            "is pending: no such class",
        ),
    ],
)  # fmt: skip
def test_a_pending_volume_claim(storage: dict[str, str], events: Any, message: str) -> None:
    claim: Manifest = {
        "metadata": {"name": names.DATA, "uid": "2"}, "spec": storage, "status": {"phase": "Pending"},
    }  # fmt: skip
    volume = {"name": "state", "persistentVolumeClaim": {"claimName": names.DATA}}
    waiting = pod(unscheduled("pod has unbound immediate PersistentVolumeClaims."), volumes=[volume])
    problem = operator(waiting, claims={names.DATA: claim}, events=events).problem
    assert problem is not None
    assert problem.message == f"the volume claim gyrus-operator-data {message}"
    assert "operator.storage" in problem.remedy


def test_the_last_warning_explains_a_pod_that_is_not_ready() -> None:
    events = tuple(
        {
            "type": kind, "lastTimestamp": f"2026-11-28T01:00:0{second}Z", "message": message,
            "involvedObject": {"uid": "1"},
        }
        for second, kind, message in (
            (1, "Warning", "older"), (2, "Warning", "Readiness probe failed:\n refused"), (3, "Normal", "x"),
        )
    )  # fmt: skip
    part = operator(pod(container({"running": {}})), events=events)
    assert str(part).endswith("ready: starting")
    assert part.problem is not None
    assert part.problem.message == "gyrus-operator-x: Readiness probe failed: refused"


def test_a_deployment_that_may_not_create_pods() -> None:
    message = 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    failed = {"type": "ReplicaFailure", "status": "True", "message": message}
    refused = deployment(names.OPERATOR, 1, 0, conditions=[failed])
    refused["metadata"]["namespace"] = "ml"
    [part, _] = parts(Observed(deployments={names.OPERATOR: refused}, replica_sets={}, pods={}, claims={}))
    assert str(part) == (
        "gyrus-operator: 0 of 1 ready: its pods are refused: the quota q allows 2 pods; 2 are in use, and "
        "this needs 1 more"
    )
    assert part.problem is not None
    assert part.problem.remedy == (
        "Raise the quota (kubectl describe quota --namespace ml), or lower operator.resources."
    )


async def test_operators_that_are_not_ready_are_asked_for_the_reason() -> None:
    running = container({"running": {}})
    not_ready = {**pod(running), "metadata": {**pod(running)["metadata"], "labels": OPERATOR}}
    ready = {**not_ready, "status": {**running, "conditions": [{"type": "Ready", "status": "True"}]}}
    ended = {**not_ready, "status": container({"terminated": {"exitCode": 1}})}
    pods = {"a": not_ready, "b": ready, "c": ended, "silent": not_ready, "gateway": pod(running)}
    url = f"{names.MONITORING_PORT}/readyz"
    answers = {f"{name}:{url}": f"{name} has lost its store\n" for name in ("a", "b", "c", "gateway")}
    found = await reasons_of(MemoryCluster(answers=answers), "ml", pods)
    assert found == {"a": "a has lost its store"}
    observed = Observed(
        deployments={names.OPERATOR: deployment(names.OPERATOR, 1, 0)},
        replica_sets=REPLICA_SETS,
        pods={"gyrus-operator-x": not_ready},
        claims={},
        reasons={"gyrus-operator-x": "the store cannot be read: connection refused"},
    )
    assert str(parts(observed)[0]) == (
        "gyrus-operator: 0 of 1 ready: gyrus-operator-x: the store cannot be read: connection refused"
    )


OPERATOR = {names.ROLE_LABEL: names.OPERATOR_ROLE}
