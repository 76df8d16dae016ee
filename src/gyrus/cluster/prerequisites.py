"""The checks before an installation: the version of Kubernetes, and the user's rights."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gyrus.cluster.errors import ClusterTooOld, ManagedByHelm, MissingRights
from gyrus.cluster.fields import section
from gyrus.cluster.manifests.objects import HELM, MANAGED_BY
from gyrus.cluster.ports import ClusterReader, ClusterWriter
from gyrus.contract import cluster as names
from gyrus.kubernetes.resources import DEPLOYMENTS, Manifest, ResourceKind, resource_of

OLDEST = (1, 20)
"""The oldest supported version of Kubernetes."""
APPLY_VERBS = ("get", "create", "patch")


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource, in a namespace or in the whole cluster."""

    verb: str
    resource: ResourceKind
    namespace: str | None

    def __str__(self) -> str:
        where = f"in the namespace {self.namespace}" if self.namespace else "in the cluster"
        return f"{self.verb} {self.resource.full_name} {where}"


async def check_version(cluster: ClusterWriter) -> None:
    """Raise ClusterTooOld if gyrus does not support the cluster's version."""
    major, minor = await cluster.server_version()
    if (major, minor) < OLDEST:
        oldest = f"{OLDEST[0]}.{OLDEST[1]}"
        raise ClusterTooOld(
            f"The cluster runs Kubernetes {major}.{minor}, and gyrus needs {oldest} or newer.",
            remedy="Upgrade the cluster, or choose another one with --context.",
        )


async def check_manager(
    cluster: ClusterReader, namespace: str, helm_command: Callable[[str, str], str]
) -> None:
    """Raise ManagedByHelm if Helm has installed gyrus here.

    ``helm_command``: takes release and namespace, and returns the command to use instead.
    """
    operator = await cluster.find(DEPLOYMENTS, names.OPERATOR, namespace)
    release = helm_release(operator) if operator else None
    if release is None:
        return
    raise ManagedByHelm(
        f"gyrus in the namespace {namespace} is the release {release} of Helm.",
        remedy=f"Use Helm for it: {helm_command(release, namespace)}",
    )


def helm_release(operator: Manifest) -> str | None:
    """Return the release of Helm that the operator's Deployment is of. Returns None if it is of none."""
    if section(operator, "metadata", "labels").get(MANAGED_BY) != HELM:
        return None
    return section(operator, "metadata", "annotations").get("meta.helm.sh/release-name", "RELEASE")


def helm_upgrade(release: str, namespace: str) -> str:
    return f"helm upgrade {release} CHART --namespace {namespace} --reset-then-reuse-values"


def helm_uninstall(release: str, namespace: str) -> str:
    return f"helm uninstall {release} --namespace {namespace} --wait"


def rights_to_apply(manifests: Iterable[Manifest]) -> list[Right]:
    """Return the rights that server-side apply of these objects needs, each once."""
    places = dict.fromkeys((resource_of(each), each["metadata"].get("namespace")) for each in manifests)
    return [Right(verb, resource, namespace) for resource, namespace in places for verb in APPLY_VERBS]


async def check_rights(cluster: ClusterWriter, rights: Sequence[Right], act: str) -> None:
    """Raise MissingRights with all rights that these credentials lack. ``act``: what needs them."""
    async with asyncio.TaskGroup() as tasks:
        answers = [
            tasks.create_task(cluster.may(right.verb, right.resource, right.namespace), name=f"may {right}")
            for right in rights
        ]
    missing = [right for right, answer in zip(rights, answers, strict=True) if not answer.result()]
    if missing:
        raise MissingRights(
            f"Your credentials lack {len(missing)} of the {len(rights)} rights that {act} needs.",
            details=_by_resource(missing),
            remedy="Ask for these rights, or choose a context that has them with --context.",
        )


def _by_resource(rights: Sequence[Right]) -> list[str]:
    """Return a line for each resource, with all its verbs."""
    verbs: dict[tuple[ResourceKind, str | None], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.resource, right.namespace), []).append(right.verb)
    return [str(Right(", ".join(each), resource, namespace)) for (resource, namespace), each in verbs.items()]
