"""The health of an installation's parts, from the objects of the cluster, and from its pods' own words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from gyrus.cluster.fields import entries, section
from gyrus.cluster.ports import InstallationReader
from gyrus.cluster.refusals import pods_remedy
from gyrus.contract import cluster as names
from gyrus.contract.replica import READY_PATH
from gyrus.kubernetes.errors import KubernetesError
from gyrus.kubernetes.pulls import pull_cause, pull_remedy
from gyrus.kubernetes.refusals import why_refused
from gyrus.kubernetes.resources import Manifest, name_of, namespace_of

PULL_FAULTS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
PULL_AT_END = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
"""States that no waiting mends: the kubelet has tried again, or does not try."""
_ABOUT_IMAGES = re.compile(r"Error: (ErrImage|ImagePull|ErrImageNever)|Failed to pull image|Back-off")
"""Warnings that a container's state has in a better form."""
LAST_LINES = 10
"""The most lines of output that explain a failure."""
REPAIR = "Run: gyrus cluster install"
PARTS = (names.OPERATOR, names.GATEWAY)
HASH_LABEL = "pod-template-hash"
STARTING = re.compile(r"(Startup|Readiness) probe failed")
"""Warnings that every start causes. They explain something only if it takes too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartProblem:
    """The reason why a part is not ready."""

    message: str
    remedy: str = ""
    final: bool = False
    """True if waiting does not help."""
    usual: bool = False
    """True if every start has it for a while."""
    last_lines: tuple[str, ...] = ()
    """The end of the output of a container that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """One Deployment of the platform."""

    name: str
    ready: int
    requested: int
    up_to_date: bool
    """True if all its pods are of the present manifest."""
    problem: PartProblem | None = None

    @property
    def healthy(self) -> bool:
        return self.up_to_date and self.ready >= self.requested

    def __str__(self) -> str:
        count = f"{self.name}: {self.ready} of {self.requested} ready"
        if self.healthy:
            return count
        if self.problem is None or self.problem.usual:
            return f"{count}: {'replacing pods' if self.ready >= self.requested else 'starting'}"
        return f"{count}: {self.problem.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The objects of a namespace from which health follows, by their names."""

    deployments: Mapping[str, Manifest]
    replica_sets: Mapping[str, Manifest]
    pods: Mapping[str, Manifest]
    claims: Mapping[str, Manifest]
    events: Sequence[Manifest] = ()
    reasons: Mapping[str, str] = field(default_factory=dict[str, str])
    """The reasons that pods themselves give for not being ready."""


def parts(observed: Observed, repair: str = REPAIR) -> list[PartHealth]:
    """Return the health of operator and gateways. ``repair``: how to create a part that is missing."""
    return [_part(name, observed, repair) for name in PARTS]


def _part(name: str, observed: Observed, repair: str) -> PartHealth:
    deployment = observed.deployments.get(name)
    if deployment is None:
        missing = PartProblem(message=f"the Deployment {name} does not exist", remedy=repair, final=True)
        return PartHealth(name=name, ready=0, requested=1, up_to_date=False, problem=missing)
    status, requested = section(deployment, "status"), int(deployment["spec"].get("replicas", 1))
    observed_now = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    ready = min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
    up_to_date = observed_now and status.get("updatedReplicas", 0) == status.get("replicas", 0) == requested
    part = PartHealth(name=name, ready=ready, requested=requested, up_to_date=up_to_date)
    if part.healthy:
        return part
    problem = _problem(deployment, observed) if observed_now else None
    return PartHealth(name=name, ready=ready, requested=requested, up_to_date=up_to_date, problem=problem)


def _problem(deployment: Manifest, observed: Observed) -> PartProblem | None:
    """Return the worst problem of the pods of the present manifest. Those of an earlier one do not count."""
    current = _current_replica_set(deployment, observed)
    pods = [pod for pod in observed.pods.values() if _owner(pod) == current and not _is_ready(pod)]
    pods.sort(key=lambda pod: pod["metadata"].get("creationTimestamp", ""), reverse=True)
    found = [problem for pod in pods if (problem := _pod_problem(pod, observed))]
    found.sort(key=lambda problem: not problem.final)
    return found[0] if found else _refusal(deployment)


async def reasons_of(
    cluster: InstallationReader, namespace: str, pods: Mapping[str, Manifest]
) -> dict[str, str]:
    """Return the reasons that operators give for not being ready, by their pods. Best effort."""
    found: dict[str, str] = {}
    for name, pod in pods.items():
        role = section(pod, "metadata", "labels").get(names.ROLE_LABEL)
        if role != names.OPERATOR_ROLE or _is_ready(pod) or not _is_running(pod):
            continue
        with suppress(KubernetesError):
            answer = await cluster.answer_of(name, namespace, names.MONITORING_PORT, READY_PATH)
            found[name] = _sentence(answer)
    return {name: reason for name, reason in found.items() if reason not in ("", "ok")}


def _pod_problem(pod: Manifest, observed: Observed) -> PartProblem | None:
    if unscheduled := _condition(pod, "PodScheduled", "False"):
        return _unscheduled(pod, str(unscheduled.get("message", "")), observed)
    for container in entries(pod, "status", "containerStatuses"):
        if problem := _container_problem(pod, container, observed.events):
            return problem
    if reason := observed.reasons.get(name_of(pod)):
        return PartProblem(message=f"{name_of(pod)}: {reason}")
    return _warned(pod, observed.events)


def _unscheduled(pod: Manifest, message: str, observed: Observed) -> PartProblem:
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes", ())
        if "persistentVolumeClaim" in volume
    ]
    for claim in (observed.claims.get(name) for name in claims):
        if (
            claim
            and section(claim, "status").get("phase") == "Pending"
            and "PersistentVolumeClaim" in message
        ):
            return _pending_claim(claim, observed.events)
    return PartProblem(
        message=f"no node can run the pod {name_of(pod)}: {_sentence(message)}",
        remedy="Add or uncordon nodes, or request less with resources in a values file (--values).",
    )


def _pending_claim(claim: Manifest, events: Sequence[Manifest]) -> PartProblem:
    found = _warnings(claim, events)
    cause = f": {_sentence(found[-1])}" if found else ""
    if not claim["spec"].get("storageClassName"):
        cause = cause or ": the cluster has no default storage class"
    return PartProblem(
        message=f"the volume claim {name_of(claim)} is pending{cause}",
        remedy="Choose a class with operator.storage_class in a values file (--values), or set "
        "operator.storage to none, for a state that ends with the operator's pod.",
    )


def _container_problem(
    pod: Manifest, container: Mapping[str, Any], events: Sequence[Manifest]
) -> PartProblem | None:
    waiting = section(container, "state", "waiting")
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in PULL_FAULTS:
        cause = _pull_cause(pod, message, events)
        return PartProblem(
            message=f"the image {container['image']} cannot be pulled{cause and ': '}{cause}",
            remedy=_with_stop(pull_remedy(cause, "images.gyrus in a values file (--values)")),
            final=reason in PULL_AT_END,
        )
    ended = section(container, "state", "terminated") or section(container, "lastState", "terminated")
    if ended:
        return PartProblem(message=_ending(pod, ended), last_lines=_last_lines(ended))
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return PartProblem(message=f"{name_of(pod)}: {reason}: {_sentence(message)}")
    return None


def _pull_cause(pod: Manifest, message: str, events: Sequence[Manifest]) -> str:
    """Return the cause of a failed pull. While the kubelet backs off, only an event has it."""
    if not message or message.startswith("Back-off"):
        failed = [each for each in _warnings(pod, events) if each.startswith("Failed to pull")]
        message = failed[-1] if failed else ""
    return pull_cause(message)


def _ending(pod: Manifest, ended: Mapping[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"{name_of(pod)} was killed: it used more memory than its limit"
    return f"{name_of(pod)} ended with exit code {ended.get('exitCode')}"


def _last_lines(ended: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the end of a container's output, which the kubelet has kept as its message."""
    return tuple(str(ended.get("message") or "").strip().splitlines()[-LAST_LINES:])


def _warned(pod: Manifest, events: Sequence[Manifest]) -> PartProblem | None:
    found = [each for each in _warnings(pod, events) if not _ABOUT_IMAGES.match(each)]
    if not found:
        return None
    usual = STARTING.match(found[-1]) is not None
    return PartProblem(message=f"{name_of(pod)}: {_sentence(found[-1])}", usual=usual)


def _warnings(item: Manifest, events: Sequence[Manifest]) -> list[str]:
    """Return the warnings about an object, the last one at the end."""
    uid = item["metadata"].get("uid")
    about = [
        event
        for event in events
        if event.get("type") == "Warning" and section(event, "involvedObject").get("uid") == uid
    ]
    about.sort(key=lambda event: str(event.get("lastTimestamp") or ""))
    return [str(event.get("message") or "") for event in about]


def _refusal(deployment: Manifest) -> PartProblem | None:
    """Return the reason why a Deployment cannot create pods: a quota or an admission policy."""
    failed = _condition(deployment, "ReplicaFailure", "True")
    if failed is None:
        return None
    message, namespace = str(failed.get("message", "")), namespace_of(deployment) or ""
    return PartProblem(
        message=f"its pods are refused: {why_refused(message)}",
        remedy=pods_remedy(message, name_of(deployment), namespace),
    )


def _condition(item: Manifest, kind: str, status: str) -> Mapping[str, Any] | None:
    conditions = entries(item, "status", "conditions")
    return next((each for each in conditions if each["type"] == kind and each["status"] == status), None)


def _current_replica_set(deployment: Manifest, observed: Observed) -> str:
    """Return the uid of the ReplicaSet of the present manifest. Empty if there is none yet.

    A Deployment that recreates its pods creates it only when the last pod of the earlier one is gone.
    """
    for found in observed.replica_sets.values():
        if _owner(found) == deployment["metadata"].get("uid") and _template(found) == _template(deployment):
            return found["metadata"]["uid"]
    return ""


def _template(item: Manifest) -> tuple[dict[str, Any], dict[str, str], dict[str, str]]:
    """Return the part of a Deployment or a ReplicaSet by which both have the same pods."""
    template = section(item, "spec", "template")
    labels = section(template, "metadata", "labels")
    labels.pop(HASH_LABEL, None)
    return section(template, "spec"), labels, section(template, "metadata", "annotations")


def _owner(item: Manifest) -> str:
    """Return the uid of the controller that owns an object. Empty if there is none."""
    owners = entries(item, "metadata", "ownerReferences")
    return next((owner["uid"] for owner in owners if owner.get("controller")), "")


def _is_ready(pod: Manifest) -> bool:
    return _condition(pod, "Ready", "True") is not None


def _with_stop(text: str) -> str:
    return text and f"{text}."


def _is_running(pod: Manifest) -> bool:
    containers = entries(pod, "status", "containerStatuses")
    return bool(containers) and all("running" in section(each, "state") for each in containers)


def _sentence(text: str) -> str:
    """Return a message in one line, without the full stop."""
    return " ".join(text.split()).removesuffix(".")
