"""Every state of a pod has its phase, reason and plain words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.backends.kubernetes import observed
from gyrus.backends.kubernetes.observed import PodWarning, is_late, missed_failure
from gyrus.backends.kubernetes.pod import Pod
from gyrus.backends.kubernetes.programs import MAIN, ImagePrograms, ReplicaPrograms
from gyrus.backends.kubernetes.replica import PodReplica
from gyrus.backends.kubernetes.resources import FETCH, replica_pod
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.cluster import SERVES_ON_ANNOTATION
from gyrus.contract.pods import PodFailure
from gyrus.contract.replica import Phase, ProcessStatus, Reason, ReplicaStatus, RestartPolicy
from gyrus.kubernetes.resources import Manifest
from gyrus.spec.realtime import RealtimeSpec
from support.backends import OneEnvironment, order, order_of

PUSH = "Push the image, or name another one with image in the specification"
SETTINGS = KubernetesSettings(image="localhost/gyrus-runtime:1", secret="s", runtime="r")
PROGRAMS = ReplicaPrograms(SETTINGS, OneEnvironment())
ORDER = order()
ONCE = replace(ORDER, workload=replace(ORDER.workload, restart=RestartPolicy.NEVER))
SCHEDULED = {"type": "PodScheduled", "status": "True"}
STARTED = "2026-01-01T00:00:10Z"


NOW = 1767225620.0
"""Ten seconds after the containers have started."""


def observe(order: ReplicaOrder, pod: Pod, *, now: float = NOW, **facts: Any) -> ReplicaStatus:
    return observed.observe(order, pod, now=now, **facts)


def pod(
    main: dict[str, Any] | None = None,
    fetch: dict[str, Any] | None = None,
    *,
    phase: str = "Pending",
    conditions: tuple[dict[str, Any], ...] = (SCHEDULED,),
    node: str = "n1",
    runtime: bool = True,
    once: bool = False,
    **status: Any,
) -> Pod:
    """A pod with the states of its containers: the keys of ``state``, or of a whole container status."""
    programs = PROGRAMS if runtime else ImagePrograms("localhost/server:1")
    made = ONCE if once else ORDER
    manifest = replica_pod(made, programs.program(made, OneEnvironment.KEY), SETTINGS)
    manifest["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    manifest["spec"]["nodeName"] = node
    manifest["status"] = {"phase": phase, "conditions": [*conditions], "podIP": "10.1.0.5", **status}
    if main is not None:
        manifest["status"]["containerStatuses"] = [container(MAIN, main)]
    if fetch is not None:
        manifest["status"]["initContainerStatuses"] = [container(FETCH, fetch)]
    return Pod(manifest)


def container(name: str, state: dict[str, Any]) -> Manifest:
    extra = {key: state[key] for key in ("ready", "restartCount", "lastState") if key in state}
    plain = {key: value for key, value in state.items() if key not in extra}
    return {"name": name, "restartCount": 0, "ready": False, "state": plain, **extra}


FETCHED = {"terminated": {"exitCode": 0, "reason": "Completed"}}
RUNNING = {"running": {"startedAt": STARTED}}


def test_not_scheduled_yet() -> None:
    status = observe(ORDER, pod(conditions=(), node=""))
    assert (status.phase, status.reason, status.message) == (Phase.PENDING, None, "accepted")
    assert status.started_at == 1767225600.0


def test_unschedulable() -> None:
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available: 1 Insufficient cpu.",
    }
    status = observe(ORDER, pod(conditions=(condition,), node=""))
    assert (status.phase, status.reason) == (Phase.PENDING, Reason.CAPACITY)
    assert status.message.endswith(": 1 of 1 nodes has too little CPU free (it needs 200m)")


@pytest.mark.parametrize("state", [{"waiting": {"reason": "PodInitializing"}}, {}])
def test_fetching(state: dict[str, Any]) -> None:
    status = observe(ORDER, pod(state, RUNNING))
    assert (status.phase, status.message) == (
        Phase.PENDING,
        "fetching the project and its Python environment",
    )


def test_a_failed_fetch_is_final_if_a_retry_would_not_help() -> None:
    failure = PodFailure(reason=Reason.PACKAGE, message="the project could not be unpacked: no", lines=("a",))
    ended = {"exitCode": 1, "reason": "Error", "message": failure.shortened().decode()}
    status = observe(ORDER, pod({"waiting": {}}, {"terminated": ended}))
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.PACKAGE)
    assert (status.message, status.last_lines) == ("the project could not be unpacked: no", ("a",))


def test_a_fetch_that_could_not_reach_the_operator_tries_again() -> None:
    failure = PodFailure(reason=Reason.PACKAGE, message="the operator does not answer")
    ended = {"exitCode": 75, "reason": "Error", "message": failure.shortened().decode()}
    waiting = {
        "waiting": {"reason": "CrashLoopBackOff"},
        "lastState": {"terminated": ended},
        "restartCount": 2,
    }
    status = observe(ORDER, pod({"waiting": {"reason": "PodInitializing"}}, waiting))
    assert (status.phase, status.message, status.failures) == (
        Phase.BACKOFF,
        "the operator does not answer",
        3,
    )


def test_a_fetch_that_left_no_reason() -> None:
    status = observe(ORDER, pod(None, {"terminated": {"exitCode": 137, "reason": "Error"}}))
    assert (status.phase, status.reason) == (Phase.BACKOFF, Reason.KILLED)
    assert status.message == "the step that fetches its files failed: it was killed by SIGKILL"


@pytest.mark.parametrize(
    ("waiting", "phase", "message"),
    [
        (
            {"reason": "ErrImagePull", "message": "rpc error: code = NotFound desc = x:1: not found"},
            Phase.FAILED,
            "the image localhost/server:1 cannot be pulled: it was not found. " + PUSH,
        ),
        (
            {"reason": "ErrImagePull", "message": 'rpc error: code = Unknown desc = dial "r": timeout'},
            Phase.BACKOFF,
            'the image localhost/server:1 cannot be pulled: dial "r": timeout',
        ),
        (
            {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "localhost/server:1"'},
            Phase.BACKOFF,
            "the image localhost/server:1 cannot be pulled",
        ),
        (
            {"reason": "InvalidImageName", "message": "could not parse"},
            Phase.FAILED,
            "localhost/server:1 is not the name of an image. Correct image in the specification",
        ),
        (
            {"reason": "ErrImageNeverPull", "message": "m"},
            Phase.FAILED,
            "the image localhost/server:1 is not on node n1, and it may not be pulled. Load it there, or set "
            "images.pull_policy in the values file of gyrus cluster install",
        ),
    ],
)
def test_images(waiting: dict[str, str], phase: Phase, message: str) -> None:
    status = observe(ORDER, pod({"waiting": waiting}, runtime=False))
    assert (status.phase, status.reason, status.message) == (phase, Reason.IMAGE, message)


def test_the_cause_of_a_failed_pull_comes_from_the_event() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "localhost/server:1"'}
    text = 'Failed to pull image "localhost/server:1": rpc error: code = Unknown desc = no route to host'
    seen = pod({"waiting": waiting}, runtime=False)
    for count, phase in ((1, Phase.BACKOFF), (3, Phase.FAILED)):
        status = observe(ORDER, seen, warnings={"Failed": PodWarning("Failed", text, count, 1.0)})
        assert status.phase is phase
        assert status.message == (
            "the image localhost/server:1 cannot be pulled: its registry does not answer. Check that the "
            "nodes reach the registry, or name another image with image in the specification"
        )
        assert status.failures == count


def test_the_words_of_containerd_are_left_out() -> None:
    name = "localhost/server:1"
    text = (
        f'failed to pull and unpack image "{name}": failed to resolve reference "{name}": {name}: not found'
    )
    waiting = {"reason": "ErrImagePull", "message": f"rpc error: code = NotFound desc = {text}"}
    status = observe(ORDER, pod({"waiting": waiting}, runtime=False))
    assert status.message == f"the image {name} cannot be pulled: it was not found. {PUSH}"


def test_a_deleted_pod_is_finished_when_its_containers_are() -> None:
    ended = {"terminated": {"exitCode": 0}}
    seen = pod(ended, FETCHED, phase="Running")
    assert not seen.finished
    seen.manifest["metadata"]["deletionTimestamp"] = STARTED
    assert seen.finished
    running = pod(RUNNING, FETCHED, phase="Running")
    running.manifest["metadata"]["deletionTimestamp"] = STARTED
    assert not running.finished


@pytest.mark.parametrize(
    ("ended", "reason", "message", "code"),
    [
        ({"exitCode": 3, "reason": "Error"}, Reason.EXITED, "it exited with code 3", 3),
        ({"exitCode": 139, "reason": "Error"}, Reason.KILLED, "it was killed by SIGSEGV", -11),
        (
            {"exitCode": 137, "reason": "OOMKilled"},
            Reason.OUT_OF_MEMORY,
            "it was killed, because it used more memory than compute.mem",
            -9,
        ),
        (
            {"exitCode": 128, "reason": "StartError", "message": "no such file: server"},
            Reason.CONTAINER,
            "the container cannot be started: no such file: server",
            128,
        ),
    ],
)
def test_ends_of_a_container(ended: dict[str, Any], reason: Reason, message: str, code: int) -> None:
    waiting = {
        "waiting": {"reason": "CrashLoopBackOff"},
        "lastState": {"terminated": ended},
        "restartCount": 2,
    }
    status = observe(ORDER, pod(waiting, FETCHED, phase="Running"))
    assert (status.phase, status.reason, status.message) == (Phase.BACKOFF, reason, message)
    assert (status.exit_code, status.restarts, status.failures) == (code, 2, 3)


def test_a_container_that_cannot_be_created() -> None:
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "a" not found'}}
    status = observe(ORDER, pod(waiting, runtime=False))
    assert (status.phase, status.reason) == (Phase.BACKOFF, Reason.CONTAINER)
    assert status.message == (
        'the container cannot be started (CreateContainerConfigError): secret "a" not found'
    )


def test_a_volume_that_cannot_be_mounted() -> None:
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    warning = PodWarning("FailedMount", 'MountVolume failed: secret "a" not found', 4, 1.0)
    status = observe(ORDER, pod(waiting, runtime=False), warnings={"FailedMount": warning})
    assert (status.phase, status.message) == (
        Phase.PENDING,
        'creating the container: MountVolume failed: secret "a" not found',
    )


def ready(value: bool, since: str) -> dict[str, str]:
    return {"type": "Ready", "status": str(value), "lastTransitionTime": since}


def test_ready_without_a_supervisor() -> None:
    seen = pod(RUNNING | {"ready": True}, conditions=(SCHEDULED, ready(True, STARTED)), runtime=False)
    status = observe(ORDER, seen)
    assert (status.phase, status.endpoints) == (Phase.READY, ("10.1.0.5:8000",))
    assert status.ready_at == 1767225610.0


def test_an_address_of_version_6_is_in_brackets() -> None:
    seen = pod(RUNNING, conditions=(ready(True, STARTED),), runtime=False, podIP="fd00::5")
    assert observe(ORDER, seen).endpoints == ("[fd00::5]:8000",)


def test_starting_shows_its_probe() -> None:
    seen = pod(RUNNING, conditions=(SCHEDULED, ready(False, "2026-01-01T00:00:00Z")), runtime=False)
    assert observe(ORDER, seen).message == "starting"
    warning = PodWarning("Unhealthy", "Readiness probe failed: connection refused", 2, 2e9)
    status = observe(ORDER, seen, warnings={"Unhealthy": warning})
    assert (status.phase, status.message) == (
        Phase.STARTING,
        "its readiness check fails: nothing accepts connections",
    )


def test_no_longer_ready() -> None:
    seen = pod(RUNNING, conditions=(SCHEDULED, ready(False, "2026-01-01T01:00:00Z")), runtime=False)
    status = observe(ORDER, seen)
    assert (status.phase, status.reason, status.message, status.endpoints) == (
        Phase.UNREADY,
        Reason.UNRESPONSIVE,
        "its readiness check fails",
        (),
    )


DELETED = 1767225700.0
"""The time at which the deletion of a pod was requested."""
DELETED_BY_OTHERS = "its pod was deleted from outside, by a drain, an eviction or kubectl delete"


def deleted_pod(grace: int, *, serves_on: str | None = "30", is_ready: bool = True) -> Pod:
    """Return a ready pod whose deletion others have requested."""
    seen = pod(RUNNING | {"ready": True}, FETCHED, conditions=(SCHEDULED, ready(is_ready, STARTED)))
    seen.manifest["metadata"]["deletionTimestamp"] = time_of(DELETED + grace)
    seen.manifest["metadata"]["deletionGracePeriodSeconds"] = grace
    seen.manifest["metadata"]["annotations"].pop(SERVES_ON_ANNOTATION, None)
    if serves_on:
        seen.manifest["metadata"]["annotations"][SERVES_ON_ANNOTATION] = serves_on
    return seen


def time_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("seen", "serves_for"),
    [
        (deleted_pod(90), 25.0),
        (deleted_pod(10), 5.0),
        (deleted_pod(0), 0.0),
        (deleted_pod(90, serves_on=None), 0.0),
        (deleted_pod(90, serves_on="3"), 0.0),
    ],
)
def test_a_pod_that_others_delete_serves_until_it_is_replaced(seen: Pod, serves_for: float) -> None:
    if serves_for:
        status = observe(ORDER, seen, now=DELETED + serves_for - 0.1)
        assert (status.phase, status.endpoints) == (Phase.READY, ("10.1.0.5:8000",))
        assert (status.reason, status.message) == (Reason.EVICTED, DELETED_BY_OTHERS)
        assert observe(ORDER, seen, now=DELETED, stopping=True).phase is Phase.DRAINING
    draining = observe(ORDER, seen, now=DELETED + serves_for)
    assert (draining.phase, draining.endpoints) == (Phase.DRAINING, ())


def test_a_pod_that_is_not_ready_leaves_at_once() -> None:
    assert observe(ORDER, deleted_pod(90, is_ready=False), now=DELETED).phase is Phase.DRAINING


def test_a_replica_whose_pod_others_delete_is_to_be_replaced() -> None:
    replica = PodReplica(ORDER, 0.0, pod=deleted_pod(90))
    replica.look(DELETED, None, {})
    assert replica.serves_on
    assert replica.observation
    assert replica.observation.evacuation == DELETED_BY_OTHERS
    replica.must_leave = True
    replica.look(DELETED, None, {})
    status = replica.observation.status
    assert (status.phase, status.reason, status.message) == (
        Phase.DRAINING,
        Reason.EVICTED,
        DELETED_BY_OTHERS,
    )


LATE = NOW + 600 - 10
"""Ten minutes after the containers have started: the start timeout."""
NEVER_READY = ready(False, "2026-01-01T00:00:00Z")
PROCESS = {"image": "localhost/chat:1", "command": ["serve"]}
WORDS = {
    "port": 9000,
    "containers": [
        {"name": "api", "image": "a", "readiness_probe": {"exec": {"command": ["cat", "/mnt/ready"]}}},
        {"name": "cache", "image": "b", "readiness_probe": {"tcp_socket": {"port": 6379}}},
    ],
}
PLAIN = {"port": 9000, "containers": [{"name": "api", "image": "a"}, {"name": "cache", "image": "b"}]}


def unready_pod(waiting: str, **fields: Any) -> tuple[ReplicaOrder, Pod]:
    """Return a pod of user images of which one container is not ready."""
    spec = RealtimeSpec.model_validate({"name": "words", **fields})
    made = order_of(spec, id="words-1-aaaaa")
    manifest = replica_pod(made, PROGRAMS.program(made, None), SETTINGS)
    manifest["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    manifest["spec"]["nodeName"] = "n1"
    names = [each["name"] for each in manifest["spec"]["containers"]]
    states = [container(name, RUNNING | {"ready": name != waiting}) for name in names]
    conditions = [SCHEDULED, NEVER_READY]
    manifest["status"] = {"phase": "Running", "conditions": conditions, "containerStatuses": states}
    return made, Pod(manifest)


@pytest.mark.parametrize(
    ("waiting", "fields", "message"),
    [
        (
            "server",
            {"process": {**PROCESS, "ready": {"path": "/health"}}},
            "serve runs, but GET /health was not answered with 2xx",
        ),
        ("sidecar", {"process": PROCESS}, "serve runs, but nothing accepted connections on $PORT"),
        ("sidecar", {"pod": PLAIN}, "container api runs, but nothing accepted connections on port 9000"),
        (
            "api",
            {"pod": WORDS},
            "container api runs, but its readiness check `cat /mnt/ready` did not succeed",
        ),
        ("cache", {"pod": WORDS}, "container cache runs, but nothing accepted connections on port 6379"),
    ],
)
def test_a_server_that_is_not_ready_in_time(waiting: str, fields: dict[str, Any], message: str) -> None:
    made, seen = unready_pod(waiting, **fields)
    assert observe(made, seen, now=LATE - 1).phase is Phase.STARTING
    status = observe(made, seen, now=LATE)
    assert (status.phase, status.reason, status.failures) == (Phase.BACKOFF, Reason.NOT_LISTENING, 1)
    assert status.message == f"{message} within 600 s of its start"
    assert is_late(status, seen)
    assert observe(made, seen, now=LATE, stopping=True).phase is Phase.DRAINING


def test_a_late_server_shows_its_probe() -> None:
    made, seen = unready_pod("server", process={**PROCESS, "ready": {"path": "/health"}})
    warning = PodWarning("Unhealthy", "Readiness probe failed: statuscode: 500", 2, 2e9)
    assert observe(made, seen, now=LATE, warnings={"Unhealthy": warning}).message == (
        "serve runs, but GET /health was not answered with 2xx within 600 s of its start "
        "(its readiness check fails: statuscode: 500)"
    )


def test_only_a_pod_that_was_never_ready_is_late() -> None:
    once_ready = (SCHEDULED, ready(False, "2026-01-01T00:05:00Z"))
    assert observe(ORDER, pod(RUNNING, conditions=once_ready, runtime=False), now=LATE).phase is Phase.UNREADY
    is_ready = pod(RUNNING | {"ready": True}, conditions=(SCHEDULED, ready(True, STARTED)), runtime=False)
    assert observe(ORDER, is_ready, now=LATE).phase is Phase.READY
    supervised = observe(ORDER, pod(RUNNING, FETCHED, conditions=(SCHEDULED, NEVER_READY)), now=LATE)
    assert supervised.phase is Phase.STARTING, "its supervisor sees to it"
    late = observe(ORDER, pod(RUNNING, conditions=(SCHEDULED, NEVER_READY), runtime=False), now=LATE)
    assert late.reason is Reason.NOT_LISTENING


def test_each_start_of_a_container_has_the_whole_time() -> None:
    crashed = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:05Z"}}
    again = {"running": {"startedAt": "2026-01-01T00:10:00Z"}, "lastState": crashed, "restartCount": 1}
    seen = pod(again, conditions=(SCHEDULED, NEVER_READY), runtime=False)
    assert observe(ORDER, seen, now=LATE).phase is Phase.STARTING
    status = observe(ORDER, seen, now=LATE + 600)
    assert (status.reason, status.failures) == (Reason.NOT_LISTENING, 2)


def test_a_lost_node_is_named() -> None:
    seen = pod(
        RUNNING | {"ready": True},
        conditions=(SCHEDULED, ready(False, "2026-01-01T01:00:00Z")),
        runtime=False,
    )
    status = observe(ORDER, seen)
    assert (status.phase, status.message) == (Phase.UNREADY, "node n1 does not answer")


REPORT = ReplicaStatus(
    id="other",
    api="iris",
    revision=1,
    phase=Phase.BACKOFF,
    reason=Reason.IMPORT,
    message="no module",
    last_lines=("Traceback",),
    restarts=2,
    pid=7,
)


def test_the_supervisor_knows_more() -> None:
    status = observe(ORDER, pod(RUNNING | {"restartCount": 1}, FETCHED, phase="Running"), report=REPORT)
    assert (status.phase, status.reason, status.message) == (Phase.BACKOFF, Reason.IMPORT, "no module")
    assert (status.id, status.restarts, status.pid, status.last_lines) == (ORDER.id, 3, None, ("Traceback",))


def test_a_ready_report_gets_the_pods_address() -> None:
    report = replace(REPORT, phase=Phase.READY, endpoints=("0.0.0.0:8000",), reason=None)
    status = observe(ORDER, pod(RUNNING, FETCHED, phase="Running"), report=report)
    assert (status.phase, status.endpoints) == (Phase.READY, ("10.1.0.5:8000",))


def test_a_failure_between_two_looks_is_not_missed() -> None:
    before = observe(ORDER, pod(RUNNING, conditions=(ready(True, STARTED),), runtime=False))
    assert before.phase is Phase.READY
    ended = {"terminated": {"exitCode": 137, "reason": "Error"}}
    again = pod(
        RUNNING | {"restartCount": 1, "lastState": ended}, conditions=(ready(True, STARTED),), runtime=False
    )
    now = observe(ORDER, again)
    assert (now.phase, now.restarts) == (Phase.READY, 1)
    failure = missed_failure(before, now, again)
    assert failure
    assert (failure.phase, failure.reason, failure.endpoints) == (Phase.BACKOFF, Reason.KILLED, ())
    assert failure.message == "it was killed by SIGKILL"
    assert missed_failure(failure, now, again) is None
    assert missed_failure(now, now, again) is None


def test_a_failure_that_the_supervisor_has_mended_is_not_missed() -> None:
    seen = pod(RUNNING, FETCHED, phase="Running", conditions=(ready(True, STARTED),))
    whole = replace(REPORT, phase=Phase.READY, restarts=0, reason=None)
    died = ProcessStatus(index=0, phase=Phase.READY, restarts=1, exit_code=7, last_lines=("bye",))
    before = observe(ORDER, seen, report=whole)
    now = observe(ORDER, seen, report=replace(whole, restarts=1, processes=(died,)))
    failure = missed_failure(before, now, seen)
    assert failure
    assert (failure.reason, failure.message) == (Reason.EXITED, "it exited with code 7")
    assert failure.last_lines == ("bye",)


def test_evicted() -> None:
    seen = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory. ")
    status = observe(ORDER, seen)
    assert (status.phase, status.reason, status.message) == (
        Phase.GONE,
        Reason.EVICTED,
        "it was evicted on node n1: The node was low on resource: memory",
    )
    assert observe(ORDER, seen, stopping=True).phase is Phase.GONE


@pytest.mark.parametrize(
    ("code", "phase", "reason"), [(0, Phase.SUCCEEDED, None), (3, Phase.FAILED, Reason.EXITED)]
)
def test_one_that_runs_once(code: int, phase: Phase, reason: Reason | None) -> None:
    ended = {"terminated": {"exitCode": code, "reason": "Completed"}}
    kube_phase = "Failed" if code else "Succeeded"
    status = observe(ONCE, pod(ended, phase=kube_phase, runtime=False, once=True))
    assert (status.phase, status.reason, status.exit_code) == (phase, reason, code)


def test_one_that_runs_once_is_not_replaced_after_its_eviction() -> None:
    status = observe(ONCE, pod(phase="Failed", reason="Evicted", once=True))
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.EVICTED)


STATES = st.sampled_from(
    [
        None,
        {},
        RUNNING,
        RUNNING | {"ready": True},
        {"waiting": {"reason": "ImagePullBackOff"}},
        {"waiting": {"reason": "CrashLoopBackOff"}, "lastState": {"terminated": {"exitCode": 1}}},
        {"terminated": {"exitCode": 0}},
    ]
)


RESTARTED = "it was restarted, because its liveness check fails: it answers with code 404"
LIVENESS = "Liveness probe failed: HTTP probe failed with statuscode: 404"


@pytest.mark.parametrize(
    ("at", "reason", "message"),
    [
        (
            20.0,
            Reason.UNRESPONSIVE,
            RESTARTED,
        ),
        (5.0, Reason.KILLED, "it was killed by SIGKILL"),  # of an earlier run
        (40.0, Reason.KILLED, "it was killed by SIGKILL"),  # of a later run
    ],
)
def test_a_container_that_its_probe_ended(at: float, reason: Reason, message: str) -> None:
    ended = {
        "exitCode": 137,
        "reason": "Error",
        "startedAt": "2026-01-01T00:00:10Z",
        "finishedAt": "2026-01-01T00:00:30Z",
    }
    start = 1767225600.0  # 2026-01-01T00:00:00Z
    warning = PodWarning("Unhealthy", LIVENESS, 3, start + at)
    last: dict[str, Any] = {"lastState": {"terminated": ended}, "restartCount": 1}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}, **last}
    status = observe(ORDER, pod(waiting, FETCHED, phase="Running"), warnings={warning.key: warning})
    assert (status.phase, status.reason, status.message) == (Phase.BACKOFF, reason, message)
    again = {**RUNNING, **last, "ready": True}
    ready = {"type": "Ready", "status": "True"}
    seen = pod(again, FETCHED, phase="Running", conditions=(SCHEDULED, ready))
    now = observe(ORDER, seen, warnings={warning.key: warning})
    missed = missed_failure(replace(now, restarts=0), now, seen, {warning.key: warning})
    assert missed is not None
    assert (missed.reason, missed.message) == (reason, message)


def test_a_server_that_crashes_while_it_starts_was_not_ended_by_its_start_up_check() -> None:
    start = 1767225600.0  # 2026-01-01T00:00:00Z
    refused = "Startup probe failed: dial tcp 10.1.0.5:8000: connect: connection refused"
    warning = PodWarning("Unhealthy", refused, 3, start + 20)
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "startedAt": "2026-01-01T00:00:10Z",
        "finishedAt": "2026-01-01T00:00:30Z",
    }
    last: dict[str, Any] = {"lastState": {"terminated": ended}, "restartCount": 1}
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}, **last}
    status = observe(ORDER, pod(waiting, FETCHED, phase="Running"), warnings={warning.key: warning})
    assert (status.reason, status.message) == (Reason.EXITED, "it exited with code 1")
    starting = pod(RUNNING, FETCHED, phase="Running", conditions=(SCHEDULED, ready(False, STARTED)))
    shown = observe(ORDER, starting, warnings={warning.key: warning})
    assert (shown.phase, shown.message) == (
        Phase.STARTING,
        "its readiness check fails: nothing accepts connections on port 8000",
    )


@pytest.mark.parametrize(
    ("disrupted", "warning", "message"),
    [
        ({}, None, DELETED_BY_OTHERS),
        (
            {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"},
            None,
            "its pod was evicted, by a drain or a node autoscaler",
        ),
        (
            {"reason": "DeletionByTaintManager", "message": "Taint manager: deleting due to NoExecute taint"},
            None,
            "its node has a taint that it does not tolerate",
        ),
        ({"reason": "DeletionByPodGC", "message": "PodGC: node no longer exists"}, None, "its node is gone"),
        (
            {"reason": "PreemptionByScheduler", "message": "preempting to accommodate a higher priority pod"},
            None,
            "a pod of higher priority takes its place (preempting to accommodate a higher priority pod)",
        ),
        (
            {},
            PodWarning("Preempted", "Preempted by ml/big on node n1", 1, 0.0),
            "a pod of higher priority takes its place (Preempted by ml/big on node n1)",
        ),
        ({"reason": "Other", "message": "something else."}, None, "something else"),
    ],
)
def test_a_pod_that_another_one_deletes(
    disrupted: dict[str, str], warning: PodWarning | None, message: str
) -> None:
    found = {"type": "DisruptionTarget", "status": "True", **disrupted}
    seen = pod(RUNNING, FETCHED, phase="Running", conditions=(SCHEDULED, *([found] if disrupted else ())))
    seen.manifest["metadata"]["deletionTimestamp"] = STARTED
    status = observe(ORDER, seen, warnings={"Preempted": warning} if warning else {})
    assert (status.phase, status.reason, status.message) == (Phase.DRAINING, Reason.EVICTED, message)
    stopped = observe(ORDER, seen, stopping=True)
    assert (stopped.phase, stopped.reason, stopped.message) == (Phase.DRAINING, None, "")


@given(
    STATES, STATES, st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]), st.booleans()
)
def test_a_stopping_replica_has_no_endpoints(
    main: dict[str, Any] | None, fetch: dict[str, Any] | None, phase: str, runtime: bool
) -> None:
    seen = pod(main, fetch, phase=phase, runtime=runtime)
    status = observe(ORDER, seen, stopping=True, report=replace(REPORT, phase=Phase.READY))
    assert status.phase in (Phase.DRAINING, Phase.GONE)
    assert status.endpoints == ()
    free = observe(ORDER, seen)
    assert bool(free.endpoints) == (free.phase is Phase.READY)


def group_pod(
    api: dict[str, Any], cache: dict[str, Any], sidecar: dict[str, Any]
) -> tuple[ReplicaOrder, Pod]:
    """A replica of two containers and the sidecar, with their states."""
    containers = [{"name": name, "image": f"localhost/{name}:1"} for name in ("api", "cache")]
    spec = RealtimeSpec.model_validate({"name": "words", "pod": {"port": 9000, "containers": containers}})
    made = order_of(spec, id="words-1-aaaaa")
    manifest = replica_pod(made, PROGRAMS.program(made, None), SETTINGS)
    manifest["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    manifest["spec"]["nodeName"] = "n1"
    states = {"api": api, "cache": cache, "sidecar": sidecar}
    manifest["status"] = {
        "phase": "Running",
        "conditions": [SCHEDULED],
        "podIP": "10.1.0.5",
        "containerStatuses": [container(name, state) for name, state in states.items()],
    }
    return made, Pod(manifest)


UP = {**RUNNING, "ready": True}


def test_of_several_containers_the_failing_one_counts_and_is_named() -> None:
    ended = {"exitCode": 3, "reason": "Error", "message": "loading\nno such table\n"}
    crashed = {
        "waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"},
        "lastState": {"terminated": ended},
        "restartCount": 2,
    }
    status = observe(*group_pod(UP, crashed, UP))
    assert (status.phase, status.reason) == (Phase.BACKOFF, Reason.EXITED)
    assert status.message == "container cache: it exited with code 3"
    assert (status.last_lines, status.restarts) == (("loading", "no such table"), 2)


def test_of_several_images_the_missing_one_is_named() -> None:
    missing = {
        "waiting": {
            "reason": "ErrImagePull",
            "message": "rpc error: code = NotFound desc = localhost/cache:1: not found",
        }
    }
    status = observe(*group_pod(UP, missing, UP))
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.IMAGE)
    assert status.message == f"the image localhost/cache:1 cannot be pulled: it was not found. {PUSH}"


def test_a_program_that_the_image_lacks_is_named() -> None:
    cause = 'OCI runtime create failed: exec: "serve": executable file not found in $PATH: unknown'
    ended = {"exitCode": 128, "reason": "StartError", "message": cause}
    crashed = {"waiting": {"reason": "CrashLoopBackOff"}, "lastState": {"terminated": ended}}
    status = observe(*group_pod(crashed, UP, UP))
    assert status.reason is Reason.CONTAINER
    assert status.message == "container api: the image localhost/api:1 has no program serve"


def test_a_server_that_does_not_listen_is_explained() -> None:
    status = observe(*group_pod(UP, UP, {**RUNNING, "ready": False}))
    assert (status.phase, status.message) == (Phase.STARTING, "nothing accepts connections on port 9000")


def test_requests_go_to_the_queue_proxy() -> None:
    made, pod = group_pod(UP, UP, UP)
    pod.manifest["status"]["conditions"].append({"type": "Ready", "status": "True"})
    assert observe(made, pod).endpoints == ("10.1.0.5:18004",)
    assert (pod.graceful, pod.supervised) == (True, False)
