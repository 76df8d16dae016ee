"""The wait until operator and gateways are ready, with the reasons while they are not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gyrus.aio.clock import Clock
from gyrus.aio.signals import listen
from gyrus.cluster.errors import NotHealthy
from gyrus.cluster.health import Observed, PartHealth, parts, reasons_of
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import (
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    VOLUME_CLAIMS,
    KubernetesObject,
)

FOLLOWED = (DEPLOYMENTS, REPLICA_SETS, PODS, VOLUME_CLAIMS, EVENTS)
ReportPart = Callable[[PartHealth], None]


async def until_healthy(
    client: ClusterClient, namespace: str, *, report: ReportPart, timeout: float, clock: Clock
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
        observed = _observed(reflectors)
        state = parts(replace(observed, reasons=await reasons_of(client, namespace, observed.pods)))
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


@dataclass(frozen=True, slots=True)
class UntilGone:
    """Waits until no object of a selection is left. Pods of which only the record is left count as gone."""

    client: ClusterClient
    clock: Clock
    timeout: float
    """Seconds for each wait."""

    async def __call__(self, selection: Selection) -> None:
        """Raise NotHealthy if objects are left when the time is up."""
        left = Reflector(self.client, selection, self.clock)
        await left.list()
        try:
            async with asyncio.timeout(self.timeout), asyncio.TaskGroup() as tasks:
                follower = tasks.create_task(left.run(), name=f"follow {selection}")
                with left.changes.listen() as changes:
                    while _existing(left):
                        await changes.wait()
                follower.cancel()
        except TimeoutError:
            kind = selection.resource.kind
            raise NotHealthy(
                f"{kind} {', '.join(_existing(left))} is still there after {self.timeout:.0f} s.",
                remedy=f"See: kubectl describe {selection.resource.plural}"
                + (f" --namespace {selection.namespace}" if selection.namespace else ""),
            ) from None


def _existing(reflector: Reflector) -> list[str]:
    """Return the names of the objects that exist, without the pods that have finished."""
    return sorted(name for name, found in reflector.objects.items() if not KubernetesObject(found).finished)
