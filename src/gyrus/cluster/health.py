"""The health of an installation's parts, from the objects of the cluster. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gyrus.cluster.fields import entries, section
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import Manifest, name_of

PULL_FAULTS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
PULL_AT_END = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
"""States that no waiting mends: the kubelet has tried again, or does not try."""
IMAGE_REMEDY = "Push the image, or name another one with images.gyrus in a values file (--values)."
ROLES = {names.OPERATOR: "operator", names.GATEWAY: "gateway"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """The reason why a part is not ready."""

    message: str
    remedy: str = ""
    final: bool = False
    """True if waiting does not help."""
    crashed: str = ""
    """The pod whose last output shows more; empty if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartHealth:
    """One Deployment of the platform."""

    name: str
    ready: int
    requested: int
    up_to_date: bool
    """True if all its pods are of the present manifest."""
    problem: Problem | None = None

    @property
    def healthy(self) -> bool:
        return self.up_to_date and self.ready >= self.requested

    def __str__(self) -> str:
        count = f"{self.name}: {self.ready} of {self.requested} ready"
        if self.healthy:
            return count
        return f"{count}: {self.problem.message}" if self.problem else f"{count}: starting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The objects of a namespace from which health follows, by their names."""

    deployments: Mapping[str, Manifest]
    pods: Mapping[str, Manifest]
    claims: Mapping[str, Manifest]
    events: Sequence[Manifest] = ()


def parts(observed: Observed) -> list[PartHealth]:
    """Return the health of operator and gateways."""
    return [_part(name, observed) for name in ROLES]


def _part(name: str, observed: Observed) -> PartHealth:
    deployment = observed.deployments.get(name)
    if deployment is None:
        missing = Problem(
            message=f"the Deployment {name} does not exist", remedy="Run: gyrus cluster install", final=True
        )
        return PartHealth(name=name, ready=0, requested=1, up_to_date=False, problem=missing)
    status, requested = section(deployment, "status"), int(deployment["spec"].get("replicas", 1))
    ready = min(status.get("availableReplicas", 0), status.get("updatedReplicas", 0))
    up_to_date = (
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == requested
    )
    part = PartHealth(name=name, ready=ready, requested=requested, up_to_date=up_to_date)
    if part.healthy:
        return part
    problem = _problem(name, deployment, observed)
    return PartHealth(name=name, ready=ready, requested=requested, up_to_date=up_to_date, problem=problem)


def _problem(name: str, deployment: Manifest, observed: Observed) -> Problem | None:
    pods = [pod for pod in observed.pods.values() if _role_of(pod) == ROLES[name] and not _is_ready(pod)]
    pods.sort(key=lambda pod: pod["metadata"].get("creationTimestamp", ""), reverse=True)
    found = [problem for pod in pods if (problem := _pod_problem(pod, observed))]
    found.sort(key=lambda problem: not problem.final)
    return found[0] if found else _refusal(deployment)


def _pod_problem(pod: Manifest, observed: Observed) -> Problem | None:
    if unscheduled := _condition(pod, "PodScheduled", "False"):
        return _unscheduled(pod, str(unscheduled.get("message", "")), observed)
    for container in entries(pod, "status", "containerStatuses"):
        if problem := _container_problem(pod, container):
            return problem
    return _warned(pod, observed.events)


def _unscheduled(pod: Manifest, message: str, observed: Observed) -> Problem:
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
    return Problem(
        message=f"no node can run the pod {name_of(pod)}: {_sentence(message)}",
        remedy="Add or uncordon nodes, or request less with resources in a values file (--values).",
    )


def _pending_claim(claim: Manifest, events: Sequence[Manifest]) -> Problem:
    last = _last_event(claim, events)
    cause = f": {_sentence(str(last.get('message', '')))}" if last else ""
    if not claim["spec"].get("storageClassName"):
        cause = cause or ": the cluster has no default storage class"
    return Problem(
        message=f"the volume claim {name_of(claim)} is pending{cause}",
        remedy="Choose a class with operator.storage_class in a values file (--values), or set "
        "operator.storage to none, for a state that ends with the operator's pod.",
    )


def _container_problem(pod: Manifest, container: Mapping[str, Any]) -> Problem | None:
    waiting = section(container, "state", "waiting")
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in PULL_FAULTS:
        return Problem(
            message=f"the image {container['image']} cannot be pulled{_pull_cause(message)}",
            remedy=IMAGE_REMEDY,
            final=reason in PULL_AT_END,
        )
    ended = section(container, "state", "terminated") or section(container, "lastState", "terminated")
    if ended:
        return Problem(message=_ending(pod, ended), crashed=name_of(pod))
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return Problem(message=f"{name_of(pod)}: {reason}: {_sentence(message)}")
    return None


def _pull_cause(message: str) -> str:
    """Return the cause of a failed pull. The state of backing off has none."""
    if not message or message.startswith("Back-off"):
        return ""
    if re.search(r"not found|does not exist|manifest unknown", message):
        return ": it was not found"
    if re.search(r"unauthorized|denied|authentication", message):
        return ": the registry demands credentials (images.pull_secrets)"
    return f": {_sentence(message)}"


def _ending(pod: Manifest, ended: Mapping[str, Any]) -> str:
    if ended.get("reason") == "OOMKilled":
        return f"{name_of(pod)} was killed: it used more memory than its limit"
    return f"{name_of(pod)} ended with exit code {ended.get('exitCode')}"


def _warned(pod: Manifest, events: Sequence[Manifest]) -> Problem | None:
    last = _last_event(pod, events)
    if last is None:
        return None
    return Problem(message=f"{name_of(pod)}: {_sentence(str(last.get('message', '')))}")


def _last_event(item: Manifest, events: Sequence[Manifest]) -> Manifest | None:
    """Return the last warning about an object."""
    uid = item["metadata"].get("uid")
    about = [
        event
        for event in events
        if event.get("type") == "Warning" and event.get("involvedObject", {}).get("uid") == uid
    ]
    return max(about, key=lambda event: str(event.get("lastTimestamp") or ""), default=None)


def _refusal(deployment: Manifest) -> Problem | None:
    """Return the reason why a Deployment cannot create pods: a quota or an admission policy."""
    failed = _condition(deployment, "ReplicaFailure", "True")
    return Problem(message=_sentence(str(failed.get("message", "")))) if failed else None


def _condition(item: Manifest, kind: str, status: str) -> Mapping[str, Any] | None:
    conditions = entries(item, "status", "conditions")
    return next((each for each in conditions if each["type"] == kind and each["status"] == status), None)


def _role_of(pod: Manifest) -> str:
    return section(pod, "metadata", "labels").get(names.ROLE_LABEL, "")


def _is_ready(pod: Manifest) -> bool:
    return _condition(pod, "Ready", "True") is not None


def _sentence(text: str) -> str:
    """Return a message in one line, without the full stop."""
    return " ".join(text.split()).removesuffix(".")
