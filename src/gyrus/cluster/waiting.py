"""The wait until operator and gateways are ready, with the reasons while they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from gyrus.aio.clock import Clock
from gyrus.aio.signals import listen
from gyrus.cluster.errors import NotHealthy
from gyrus.cluster.health import Observed, PartHealth, parts
from gyrus.contract import cluster as names
from gyrus.kubernetes.client import Client
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import DEPLOYMENTS, EVENTS, NAMESPACES, PODS, REPLICA_SETS, VOLUME_CLAIMS

FOLLOWED = (DEPLOYMENTS, REPLICA_SETS, PODS, VOLUME_CLAIMS, EVENTS)
ReportPart = Callable[[PartHealth], None]


async def until_healthy(
    client: Client, namespace: str, *, report: ReportPart, timeout: float, clock: Clock
) -> None:
    """Wait until all parts are ready. ``report`` gets each part whenever it changes.

    Raises NotHealthy when the time is up, or at once if waiting does not help.
    """
    reflectors = [
        Reflector(client, Selection(resource=resource, namespace=namespace), clock) for resource in FOLLOWED
    ]
    for reflector in reflectors:
        await reflector.list()
    state: list[PartHealth] = []
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as tasks:
            followers = [
                tasks.create_task(reflector.run(), name=f"follow {resource.plural}")
                for reflector, resource in zip(reflectors, FOLLOWED, strict=True)
            ]
            state = await _settled(reflectors, report)
            for follower in followers:
                follower.cancel()
    except TimeoutError:
        state = parts(_observed(reflectors))
    if not all(part.healthy for part in state):
        raise _failure(namespace, state, timeout)


async def _settled(reflectors: Sequence[Reflector], report: ReportPart) -> list[PartHealth]:
    """Return the health of the parts once all are ready, or one cannot become so."""
    shown: set[str] = set()
    with listen(*(reflector.changes for reflector in reflectors)) as listener:
        while True:
            state = parts(_observed(reflectors))
            for part in state:
                if str(part) not in shown:
                    report(part)
            shown = set(map(str, state))
            if all(part.healthy for part in state) or any(_is_final(part) for part in state):
                return state
            await listener.wait()


def _observed(reflectors: Sequence[Reflector]) -> Observed:
    deployments, replica_sets, pods, claims, events = (reflector.objects for reflector in reflectors)
    return Observed(
        deployments=deployments,
        replica_sets=replica_sets,
        pods=pods,
        claims=claims,
        events=tuple(events.values()),
    )


def _is_final(part: PartHealth) -> bool:
    return part.problem is not None and part.problem.final


def _failure(namespace: str, state: Sequence[PartHealth], timeout: float) -> NotHealthy:
    bad = [part for part in state if not part.healthy]
    worst = next((part for part in bad if _is_final(part)), bad[0])
    problem = worst.problem
    since = "" if _is_final(worst) else f" after {timeout:.0f} s"
    remedy = problem.remedy if problem else ""
    return NotHealthy(
        f"{worst.name} is not ready{since}: {problem.message if problem else 'it is starting'}.",
        details=problem.last_lines if problem else (),
        remedy=remedy or f"See: kubectl describe pods --namespace {namespace}",
    )


async def until_gone(client: Client, namespace: str, *, timeout: float, clock: Clock) -> None:
    """Wait until a namespace that is being deleted is gone, or until no pod of the platform is left in it.

    Raises NotHealthy when the time is up.
    """
    namespaces = Reflector(client, Selection(resource=NAMESPACES, fields=f"metadata.name={namespace}"), clock)
    pods = Reflector(client, Selection(resource=PODS, namespace=namespace, labels=names.ROLE_LABEL), clock)
    followed = (namespaces, pods)
    for reflector in followed:
        await reflector.list()
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as tasks:
            followers = [
                tasks.create_task(reflector.run(), name=f"follow the end of {namespace}")
                for reflector in followed
            ]
            await _ended(namespaces, pods)
            for follower in followers:
                follower.cancel()
    except TimeoutError:
        left = f"{len(pods.objects)} pods" if pods.objects else "objects with finalizers"
        raise NotHealthy(
            f"The namespace {namespace} is not empty after {timeout:.0f} s: {left} are still there.",
            remedy=f"See: kubectl get all,apis.gyrus.dev --namespace {namespace}",
        ) from None


async def _ended(namespaces: Reflector, pods: Reflector) -> None:
    """Return once the namespace is gone; if it stays, once no pod is left."""
    with listen(namespaces.changes, pods.changes) as listener:
        while True:
            ending = any("deletionTimestamp" in found["metadata"] for found in namespaces.objects.values())
            if not namespaces.objects or (not ending and not pods.objects):
                return
            await listener.wait()
