"""A replica's status from its pod, the warnings about it, and its supervisor's report. Pure.

The first rule that fits decides::

    the pod was ended from outside            GONE
    deletion requested                        DRAINING; READY for some time if others have requested it,
                                              with their reason
    the pod ended by itself, and runs once    SUCCEEDED, FAILED
    not scheduled                             PENDING
    the fetch step                            PENDING, BACKOFF, FAILED
    the container does not run                PENDING, BACKOFF, FAILED
    the container runs                        as its supervisor reports, else by its readiness; BACKOFF if it
                                              was not ready within the start timeout
"""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from gyrus.backends.kubernetes.pod import COMING, ContainerState, Pod, seconds
from gyrus.backends.kubernetes.probes import is_refusal, probe_words
from gyrus.backends.kubernetes.programs import SIDECAR
from gyrus.backends.kubernetes.scheduling import why_unscheduled
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.containers import ContainerProbe
from gyrus.contract.pods import PROXY_PORT, STATUS_PORT, UNREACHABLE, PodFailure
from gyrus.contract.replica import BECOMING, FATAL, Phase, Reason, ReplicaStatus
from gyrus.kubernetes.pulls import is_final, pull_cause, pull_remedy

ATTEMPTS = 3
"""Failed pulls of an image after which it counts as failed. The node goes on trying."""
_PULLS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_BAD_IMAGE = frozenset({"InvalidImageName", "ErrImageNeverPull"})
_TRIED_IN_VAIN = "FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"
"""Warnings that explain why a container is not created."""
OWN_PORTS = frozenset({STATUS_PORT, PROXY_PORT})
"""Ports of gyrus's own programs in a pod."""
_OOM = "OOMKilled"
DELETED_OUTSIDE: Final = "its pod was deleted from outside, by a drain, an eviction or kubectl delete"
"""The reason for the end of a pod that gyrus did not delete, if nothing else is known."""
_WHY_DELETED = {
    "EvictionByEvictionAPI": "its pod was evicted, by a drain or a node autoscaler",
    "DeletionByTaintManager": "its node has a taint that it does not tolerate",
    "DeletionByPodGC": "its node is gone",
}
"""By the reason of the condition DisruptionTarget."""
LAST_LINES = 20
_NO_PROGRAM = re.compile(r'exec: "(?P<program>[^"]+)": (executable file not found|stat [^:]*: no such file)')


@dataclass(frozen=True, slots=True)
class PodWarning:
    """The latest event of one reason about a pod."""

    reason: str
    message: str
    count: int
    at: float
    """Seconds since the epoch at the last occurrence."""

    @property
    def key(self) -> str:
        """Return its reason, or that it is about a check whose failure restarts a container.

        A start-up check restarts none: the operator replaces the pod before.
        """
        return RESTARTING if self.message.startswith("Liveness") else self.reason


RESTARTING = "RestartingProbe"
Warnings = Mapping[str, PodWarning]
"""The warnings about a pod, by their keys."""


def observe(
    order: ReplicaOrder,
    pod: Pod,
    *,
    now: float,
    stopping: bool = False,
    must_leave: bool = False,
    report: ReplicaStatus | None = None,
    warnings: Warnings | None = None,
) -> ReplicaStatus:
    """Return the status of a replica.

    ``now``: seconds since the epoch. ``stopping``: gyrus has requested its deletion, whether the pod shows it
    or not. ``must_leave``: it serves no longer, although others have requested its deletion and it is not
    replaced yet. ``report``: what its supervisor has reported; None if nothing is known.
    """
    status = _phase(order, pod, now, report, warnings or {})
    if not (stopping or pod.deleted) or status.phase is Phase.GONE:
        return status
    draining = replace(status, phase=Phase.DRAINING, reason=None, message="", endpoints=(), retry_at=None)
    if stopping:
        return draining
    why = why_deleted(pod, warnings or {})
    serves_on = status.phase is Phase.READY and now < pod.leaves_at and not must_leave
    return replace(status if serves_on else draining, reason=Reason.EVICTED, message=why)


def is_late(status: ReplicaStatus, pod: Pod) -> bool:
    """Return True if a pod without a supervisor must be replaced, because it was not ready in time."""
    return status.phase is Phase.BACKOFF and status.reason is Reason.NOT_LISTENING and not pod.supervised


def missed_failure(
    before: ReplicaStatus, now: ReplicaStatus, pod: Pod, warnings: Warnings | None = None
) -> ReplicaStatus | None:
    """Return the failure between two statuses that neither of them shows. Returns None if there was none.

    A process that is back within a second may never be seen dead, but its failure must be reported.
    """
    shown = before.phase in (Phase.BACKOFF, Phase.FAILED) or now.phase not in (*BECOMING, Phase.READY)
    if now.restarts <= before.restarts or shown:
        return None
    ended: Mapping[str, Any] = pod.main.last or {"exitCode": 0}
    died = next((p for p in now.processes if p.restarts and p.exit_code is not None), None)
    if pod.main.last is None and died is not None and died.exit_code is not None:
        code = died.exit_code
        ended = {"exitCode": code} if code >= 0 else {"exitCode": 0, "signal": -code}
    reason, message = _end(ended, pod, warnings or {})
    lines = died.last_lines if died else _last_lines(ended)
    return replace(now, phase=Phase.BACKOFF, reason=reason, message=message, last_lines=lines, endpoints=())


def failure_of(state: ContainerState) -> PodFailure | None:
    """Return the failure that a fetcher or a builder left. Returns None if it left none."""
    text = (state.ended or {}).get("message", "")
    try:
        return msgspec.json.decode(text, type=PodFailure)
    except msgspec.MsgspecError:
        return None


def waiting_for(pod: Pod, warnings: Warnings) -> str:
    """Return why a builder does not run yet: no capacity, no image. Returns "" if it runs or is about to."""
    state = pod.first
    if state.running or state.terminated:
        return ""
    scheduled = pod.condition("PodScheduled")
    if scheduled.get("reason") == "Unschedulable":
        return f"the builder is {why_unscheduled(scheduled.get('message', ''))}"
    waiting = state.waiting or {}
    reason, detail = waiting.get("reason", ""), _clause(waiting.get("message", ""))
    if reason in _PULLS | _BAD_IMAGE:
        return f"the builder waits: {image_fault(pod, state, warnings).message}"
    if reason in COMING:
        hindered = _latest(warnings, _TRIED_IN_VAIN)
        return f"the builder waits: {_clause(hindered.message)}" if hindered else ""
    return f"the builder's container waits ({reason}): {detail}"


def why_deleted(pod: Pod, warnings: Warnings) -> str:
    """Return why a pod is being deleted that gyrus did not delete.

    Kubernetes shows it in the condition DisruptionTarget from its version 1.26 on.
    """
    disrupted = pod.condition("DisruptionTarget")
    preempted = warnings.get("Preempted")
    if preempted or disrupted.get("reason") == "PreemptionByScheduler":
        detail = _clause(preempted.message if preempted else disrupted.get("message", ""))
        return f"a pod of higher priority takes its place ({detail})"
    if disrupted.get("reason") in _WHY_DELETED:
        return _WHY_DELETED[disrupted["reason"]]
    if disrupted:
        return _clause(disrupted.get("message", "")) or str(disrupted.get("reason"))
    return DELETED_OUTSIDE


def _phase(
    order: ReplicaOrder, pod: Pod, now: float, report: ReplicaStatus | None, warnings: Warnings
) -> ReplicaStatus:
    blank = _blank(order, pod)
    main = pod.main
    if pod.phase in ("Succeeded", "Failed"):
        return _ended(blank, pod, main)
    if not pod.node:
        return _unscheduled(blank, pod, order)
    if pod.has_fetch and main.running is None and not main.ended:
        fetched = _fetching(blank, pod, warnings)
        if fetched is not None:
            return fetched
    if main.running is None:
        return _not_running(blank, pod, main, warnings)
    return _running(order, blank, pod, main, now, report, warnings)


def _blank(order: ReplicaOrder, pod: Pod) -> ReplicaStatus:
    return ReplicaStatus(
        id=order.id,
        api=order.api,
        revision=order.revision,
        phase=Phase.PENDING,
        restarts=pod.restarts,
        started_at=pod.created_at,
    )


def _ended(blank: ReplicaStatus, pod: Pod, main: ContainerState) -> ReplicaStatus:
    ended = main.terminated
    if pod.reason or not pod.runs_once or ended is None:
        cause = _clause(pod.message) or pod.reason or "its node ended it"
        where = f" on node {pod.node}" if pod.node else ""
        message = f"it was evicted{where}: {cause}"
        phase = Phase.FAILED if pod.runs_once else Phase.GONE
        return replace(blank, phase=phase, reason=Reason.EVICTED, message=message)
    code = _exit_code(ended)
    if code == 0:
        return replace(blank, phase=Phase.SUCCEEDED, exit_code=0)
    reason, message = _exit(ended, pod)
    lines = _last_lines(ended)
    return replace(
        blank, phase=Phase.FAILED, reason=reason, message=message, exit_code=code, last_lines=lines
    )


def _unscheduled(blank: ReplicaStatus, pod: Pod, order: ReplicaOrder) -> ReplicaStatus:
    scheduled = pod.condition("PodScheduled")
    if scheduled.get("reason") != "Unschedulable":
        return replace(blank, message="accepted")
    workload = order.workload
    message = why_unscheduled(scheduled.get("message", ""), workload.compute, workload.placement)
    return replace(blank, reason=Reason.CAPACITY, message=message)


def _fetching(blank: ReplicaStatus, pod: Pod, warnings: Warnings) -> ReplicaStatus | None:
    """Return the status during the fetch step. Returns None if it is over."""
    fetch = pod.fetch
    if fetch.terminated and _exit_code(fetch.terminated) == 0:
        return None
    ended = fetch.ended
    if fetch.running is not None:
        step = "fetching the project and its Python environment"
        return replace(blank, message=step)
    if ended is None:
        return _not_running(blank, pod, fetch, warnings)
    return _fetch_failed(blank, pod, fetch, ended)


def _fetch_failed(
    blank: ReplicaStatus, pod: Pod, fetch: ContainerState, ended: Mapping[str, Any]
) -> ReplicaStatus:
    failure = failure_of(fetch)
    blank = replace(blank, failures=fetch.restarts + 1)
    if failure is None:
        reason, message = _exit(ended, pod)
        return replace(
            blank,
            phase=Phase.BACKOFF,
            reason=reason,
            message=f"the step that fetches its files failed: {message}",
        )
    return _own_failure(blank, failure, ended)


def _not_running(
    blank: ReplicaStatus, pod: Pod, container: ContainerState, warnings: Warnings
) -> ReplicaStatus:
    waiting = container.waiting or {}
    reason, detail = waiting.get("reason", ""), _clause(waiting.get("message", ""))
    if reason in _PULLS | _BAD_IMAGE:
        return _no_image(blank, pod, container, warnings)
    if container.ended is not None:
        return _crashed(blank, pod, container, container.ended, warnings)
    if reason in COMING:
        step = "creating the container"
        if hindered := _latest(warnings, _TRIED_IN_VAIN):
            step = f"{step}: {_clause(hindered.message)}"
        return replace(blank, message=step)
    message = f"the container cannot be started ({reason}): {detail}" if detail else reason
    message = _no_program(detail, pod.image(container.name)) or message
    message = _named(pod, container, message)
    return replace(blank, phase=Phase.BACKOFF, reason=Reason.CONTAINER, message=message, failures=1)


def _crashed(
    blank: ReplicaStatus,
    pod: Pod,
    container: ContainerState,
    ended: Mapping[str, Any],
    warnings: Warnings,
) -> ReplicaStatus:
    """Return the status of a container that ended, and that is started again unless that is in vain."""
    blank = replace(blank, failures=container.restarts + 1, exit_code=_exit_code(ended))
    if failure := failure_of(container):
        return _own_failure(blank, failure, ended)
    why, message = _end(ended, pod, warnings)
    return replace(
        blank,
        phase=Phase.BACKOFF,
        reason=why,
        message=_named(pod, container, message),
        last_lines=_last_lines(ended),
    )


def _end(ended: Mapping[str, Any], pod: Pod, warnings: Warnings) -> tuple[Reason, str]:
    """Return the reason and the message for the end of a container that is started again."""
    if probe := _failed_probe(ended, warnings):
        return Reason.UNRESPONSIVE, f"it was restarted, because {probe_words(probe.message)}"
    return _exit(ended, pod)


def _failed_probe(ended: Mapping[str, Any], warnings: Warnings) -> PodWarning | None:
    """Return the failed probe for which the kubelet ended a run. Returns None if it ended by itself."""
    probe = warnings.get(RESTARTING)
    since, until = seconds(ended.get("startedAt")), seconds(ended.get("finishedAt"))
    if probe is None or since is None or until is None or ended.get("reason") == _OOM:
        return None
    return probe if since <= probe.at <= until + 1 else None


def _own_failure(blank: ReplicaStatus, failure: PodFailure, ended: Mapping[str, Any]) -> ReplicaStatus:
    """Return the status after a failure that gyrus's own program in the container has explained."""
    final = failure.reason in FATAL and _exit_code(ended) != UNREACHABLE
    return replace(
        blank,
        phase=Phase.FAILED if final else Phase.BACKOFF,
        reason=failure.reason,
        message=failure.message,
        last_lines=failure.lines,
    )


def _named(pod: Pod, container: ContainerState, message: str) -> str:
    """Return a message that names the container, if the pod has several."""
    return f"container {container.name}: {message}" if len(pod.containers) > 1 else message


def _last_lines(ended: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the last lines of a container's output. Kubernetes keeps them if it fails."""
    return tuple(ended.get("message", "").splitlines())[-LAST_LINES:]


def _no_image(
    blank: ReplicaStatus,
    pod: Pod,
    container: ContainerState,
    warnings: Warnings,
) -> ReplicaStatus:
    fault = image_fault(pod, container, warnings)
    return replace(
        blank,
        phase=Phase.FAILED if fault.final else Phase.BACKOFF,
        reason=Reason.IMAGE,
        message=fault.message,
        failures=fault.tries,
    )


@dataclass(frozen=True, slots=True)
class ImageFault:
    """The reason why a container has no image."""

    message: str
    final: bool
    """True if another try would not help, or enough have failed."""
    tries: int = 0


def image_fault(pod: Pod, container: ContainerState, warnings: Warnings) -> ImageFault:
    """Return the fault of the image of a container that waits for it."""
    waiting = container.waiting or {}
    name, reason = pod.image(container.name), waiting.get("reason", "")
    setting = "images.runtime in the values file of gyrus cluster install"
    if not pod.is_runtime(container.name):
        setting = "image in the specification"
    if reason == "InvalidImageName":
        return ImageFault(f"{name} is not the name of an image. Correct {setting}", final=True)
    if reason == "ErrImageNeverPull":
        return ImageFault(
            f"the image {name} is not on node {pod.node}, and it may not be pulled. Load it there, or set "
            "images.pull_policy in the values file of gyrus cluster install",
            final=True,
        )
    failed = warnings.get("Failed")
    event = failed if failed and name in failed.message else None
    detail = str(waiting.get("message", ""))
    cause = pull_cause(event.message if event and reason == "ImagePullBackOff" else detail)
    message = f"the image {name} cannot be pulled" + (f": {cause}" if cause else "")
    remedy = pull_remedy(cause, setting)
    tries = event.count if event else 1
    return ImageFault(
        f"{message}. {remedy}" if remedy else message, is_final(cause) or tries >= ATTEMPTS, tries
    )


def _running(
    order: ReplicaOrder,
    blank: ReplicaStatus,
    pod: Pod,
    main: ContainerState,
    now: float,
    report: ReplicaStatus | None,
    warnings: Warnings,
) -> ReplicaStatus:
    # The condition counts, not the container's readiness: it also turns False when the node is lost.
    ready = pod.condition("Ready")
    changed = seconds(ready.get("lastTransitionTime"))
    if report is not None:
        return _reported(blank, pod, report)
    if pod.ready:
        endpoints = tuple(pod.address(port) for port in pod.serving_ports)
        return replace(blank, phase=Phase.READY, endpoints=endpoints, ready_at=changed)
    started = seconds(main.running.get("startedAt")) if main.running else None
    probe = warnings.get("Unhealthy")
    fresh = probe if probe and started and probe.at >= started else None
    own = fresh is not None and is_refusal(fresh.message, OWN_PORTS)  # gyrus's own program starts
    probed = probe_words(fresh.message) if fresh and not own else ""
    message = _not_listening(order, pod) or probed
    if changed and started and changed > started:  # before the start it was not ready either
        message = message or "its readiness check fails"
        if main.ready:
            message = f"node {pod.node} does not answer"
        return replace(blank, phase=Phase.UNREADY, reason=Reason.UNRESPONSIVE, message=message)
    if (late := _late(order, pod, now)) is not None:
        found = f" ({probed})" if probed else ""
        failures = main.restarts + 1
        return replace(
            blank, phase=Phase.BACKOFF, reason=Reason.NOT_LISTENING, message=late + found, failures=failures
        )
    if main.restarts and main.last:
        failed = _crashed(blank, pod, main, main.last, warnings)
        if failed.phase is Phase.FAILED:
            return failed
        message = f"starting again after a failure: {failed.message}"
        return replace(failed, phase=Phase.STARTING, message=message)
    return replace(blank, phase=Phase.STARTING, message=message or "starting")


def _late(order: ReplicaOrder, pod: Pod, now: float) -> str | None:
    """Return why a pod is late that was never ready within the start timeout. Returns None if it is not.

    A supervisor sees to that itself, and restarts its process.
    """
    waiting = tuple(each for each in pod.containers if each.running is not None and not each.ready)
    starts = [started for each in waiting if (started := seconds((each.running or {}).get("startedAt")))]
    timeout = order.workload.start_timeout
    if pod.supervised or not starts or now < max(starts) + timeout:
        return None
    return f"{_unanswered(order, waiting)} within {timeout:g} s of its start"


def _unanswered(order: ReplicaOrder, waiting: tuple[ContainerState, ...]) -> str:
    """Return which server does not answer, in the words of a supervisor."""
    group, process = order.workload.code.group, order.workload.code.process
    if group is None:
        path = process.ready_path if process else None
        subject = process.command[0] if process else "the server"
        return f"{subject} runs, but {_fault(ContainerProbe(http_path=path), '$PORT')}"
    names = {state.name for state in waiting}
    container = next((each for each in group.containers if each.name in names), group.containers[0])
    subject = f"container {container.name}" if group.cortex else (*container.command, container.name)[0]
    probe = container.readiness or ContainerProbe(port=group.port)
    return f"{subject} runs, but {_fault(probe, f'port {probe.port}' if group.cortex else '$PORT')}"


def _fault(probe: ContainerProbe, port: str) -> str:
    if probe.command:
        return f"its readiness check `{' '.join(probe.command)}` did not succeed"
    if probe.http_path is not None:
        return f"GET {probe.http_path} was not answered with 2xx"
    return f"nothing accepted connections on {port}"


def _not_listening(order: ReplicaOrder, pod: Pod) -> str:
    """Return the message if only the sidecar, which tries to connect to the server, is not ready."""
    group = order.workload.code.group
    waiting = {container.name for container in pod.containers if not container.ready}
    if group is None or waiting != {SIDECAR}:
        return ""
    return f"nothing accepts connections on port {group.port}"


def _reported(blank: ReplicaStatus, pod: Pod, report: ReplicaStatus) -> ReplicaStatus:
    """Return the supervisor's report with the addresses by which others reach the pod.

    The report may be older than the pod's readiness.
    """
    phase = Phase.READY if pod.ready and report.phase in BECOMING else report.phase
    ports = [int(endpoint.rpartition(":")[2]) for endpoint in report.endpoints]
    serving = tuple(port for port in pod.serving_ports if port in ports) or pod.serving_ports
    since = seconds(pod.condition("Ready").get("lastTransitionTime")) if pod.ready else None
    return replace(
        report,
        id=blank.id,
        api=blank.api,
        revision=blank.revision,
        phase=phase,
        endpoints=tuple(map(pod.address, serving)) if phase is Phase.READY else (),
        restarts=report.restarts + blank.restarts,
        pid=None,
        pid_started=None,
        started_at=blank.started_at,
        ready_at=report.ready_at or since,
    )


def _exit(ended: Mapping[str, Any], pod: Pod) -> tuple[Reason, str]:
    """Return the reason and the message for the end of a container."""
    if ended.get("reason") == _OOM:
        return Reason.OUT_OF_MEMORY, "it was killed, because it used more memory than compute.mem"
    code = _exit_code(ended)
    if ended.get("reason") in ("ContainerCannotRun", "StartError", "RunContainerError"):
        detail = _clause(ended.get("message", ""))
        message = _no_program(detail, pod.image(pod.main.name))
        return Reason.CONTAINER, message or f"the container cannot be started: {detail}"
    if code < 0:
        return Reason.KILLED, f"it was killed by {_signal_name(-code)}"
    return Reason.EXITED, f"it exited with code {code}"


def _no_program(detail: str, image: str) -> str:
    """Return the message if the image lacks the program of its command. Returns "" if that is not it.

    >>> _no_program('starting container process caused: exec: "py": executable file not found in $PATH', "a")
    'the image a has no program py'
    """
    found = _NO_PROGRAM.search(detail)
    return f"the image {image} has no program {found['program']}" if found else ""


def _exit_code(ended: Mapping[str, Any]) -> int:
    """Return the exit code; the negative number of the signal if one killed it."""
    code, number = int(ended.get("exitCode", 0)), int(ended.get("signal", 0))
    if number:
        return -number
    return 128 - code if 128 < code <= 128 + 64 else code


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _latest(warnings: Warnings, reasons: tuple[str, ...]) -> PodWarning | None:
    found = [warnings[reason] for reason in reasons if reason in warnings]
    return max(found, key=lambda warning: warning.at, default=None)


def _clause(message: str) -> str:
    return " ".join(message.split()).rstrip(".")
