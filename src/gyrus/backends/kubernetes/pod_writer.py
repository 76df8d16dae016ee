"""The creation and deletion of the pods of replicas, tried again until the cluster has done it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.backends.kubernetes.environments import EnvironmentBuilds
from gyrus.backends.kubernetes.programs import Programs
from gyrus.backends.kubernetes.replica import PodReplica
from gyrus.backends.kubernetes.resources import replica_pod, termination
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.contract.pods import BuildOrder
from gyrus.contract.replica import Phase, Reason
from gyrus.environments.errors import EnvironmentFailure
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import (
    AlreadyExists,
    Forbidden,
    KubernetesError,
    ObjectConflict,
    ObjectInvalid,
    ObjectNotFound,
    ObjectRefused,
)
from gyrus.kubernetes.refusals import is_quota, why_refused
from gyrus.kubernetes.resources import PODS, Manifest

log = logging.getLogger(__name__)

RETRY = Backoff(0.5, 30.0)
"""Delays between attempts to create or delete a pod."""
OwnerOf = Callable[[str], Awaitable[Manifest | None]]
"""Returns the reference to an API's custom resource, or None if it has none. Raises KubernetesError."""


async def no_owner(api: str) -> None:
    return None


class ReplicaRecords(Protocol):
    """The replicas that exist, as far as their pods' writer needs them."""

    def exists(self, replica: PodReplica) -> bool:
        """Return True until the replica is forgotten."""
        ...

    def notice(self, name: str) -> None:
        """Take over what is known of the pod with this name, its last write included."""
        ...

    def forget(self, replica: PodReplica) -> None:
        """Remove a replica of which nothing exists any more."""
        ...

    def report(
        self,
        replica: PodReplica,
        phase: Phase,
        message: str,
        reason: Reason | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        """Show the status of a replica without a pod, unless it is being stopped."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PodWriter:
    """Creates and deletes the pods of replicas."""

    client: ClusterClient
    settings: KubernetesSettings
    programs: Programs
    environments: EnvironmentBuilds
    owner: OwnerOf
    clock: Clock
    records: ReplicaRecords

    async def try_now(self, replica: PodReplica) -> None:
        """Create a replica's pod if no environment has to be built first. A failure is only reported."""
        with suppress(KubernetesError, EnvironmentFailure):
            environment = await self.programs.environment(replica.order)
            if environment is None or self.environments.is_built(environment):
                await self._create(replica, environment)

    def ensure(self, replica: PodReplica, tasks: asyncio.TaskGroup) -> None:
        """Create a replica's pod, or delete it if the replica is being stopped, in a task of its own."""
        done = replica.pod is not None if not replica.stopping else replica.pod and replica.pod.deleted
        running = replica.task is not None and not replica.task.done()
        if not done and not running and self.records.exists(replica):
            work = self._see_deleted(replica) if replica.stopping else self._see_created(replica)
            replica.task = tasks.create_task(work, name=f"replica {replica.id}")

    async def delete(self, replica: PodReplica, *, now: bool = False) -> None:
        """Delete a replica's pod, and take over how it is shown from then on. Raises KubernetesError."""
        now = now or replica.phase is Phase.GONE
        graceful = replica.pod is None or replica.pod.graceful
        grace = 0 if now else termination(replica.grace or 0.0, self.settings, graceful=graceful)
        uid = replica.pod.uid if replica.pod else None
        try:
            answer = await self.client.delete(
                PODS, replica.id, self.settings.namespace, grace=grace, uid=uid or None
            )
        except (ObjectNotFound, ObjectConflict):
            self.records.forget(replica)
            return
        if replica.phase is Phase.GONE:
            self.records.forget(replica)
            return
        if answer.get("kind") == "Pod":
            replica.wrote(answer)
        self.records.notice(replica.id)

    async def _see_created(self, replica: PodReplica) -> None:
        failures = 0
        while replica.pod is None and not replica.stopping and replica.phase is not Phase.FAILED:
            try:
                environment = await self.programs.environment(replica.order)
                await self._build(replica, environment)
                await self._create(replica, environment)
            except EnvironmentFailure as failure:
                self.records.report(replica, Phase.FAILED, str(failure), Reason.DEPENDENCIES, failure.lines)
            except KubernetesError:  # it has been reported
                await self.clock.sleep(RETRY.delay(failures))
                failures += 1

    async def _build(self, replica: PodReplica, environment: str | None) -> None:
        """Wait for the replica's environment. Raises EnvironmentFailure, KubernetesError."""
        order = replica.order
        if environment is None:
            return
        build = BuildOrder(
            environment=environment,
            package=order.workload.code.package,
            requirements=order.workload.environment.requirements,
        )

        def report(message: str) -> None:
            self.records.report(replica, Phase.BUILDING, message)

        try:
            await self.environments.ensure(build, f"{order.api}/{order.generation}", report)
        except KubernetesError as error:
            self.records.report(replica, *_hindered(error, "the builder's pod"))
            raise

    async def _create(self, replica: PodReplica, environment: str | None) -> None:
        """Create the pod. An earlier attempt may have created it. Raises KubernetesError."""
        order = replica.order
        program = self.programs.program(order, environment)
        try:
            owner = await self.owner(order.api)
            pod = replica_pod(order, program, self.settings, owner)
            replica.refused = pod  # until the cluster has answered
            try:
                answer = await self.client.create(pod)
            except AlreadyExists:
                answer = await self.client.get(PODS, order.id, self.settings.namespace)
        except KubernetesError as error:
            self.records.report(replica, *_hindered(error, "the pod"))
            raise
        replica.wrote(answer)
        self.records.notice(order.id)

    async def _see_deleted(self, replica: PodReplica) -> None:
        failures = 0
        while self.records.exists(replica) and not (replica.pod and replica.pod.deleted):
            try:
                await self.delete(replica)
                return
            except KubernetesError as error:
                delay = RETRY.delay(failures)
                log.warning(
                    "Deleting the pod %s failed; trying again in %.1f s: %s", replica.id, delay, error
                )
                await self.clock.sleep(delay)
                failures += 1


def _hindered(error: KubernetesError, what: str) -> tuple[Phase, str, Reason | None]:
    """Return how a replica is shown whose pod cannot be created."""
    text = str(error).rstrip(".")
    match error:
        case ObjectRefused() if is_quota(text):
            return Phase.PENDING, f"waiting for capacity: {why_refused(text)}", Reason.CAPACITY
        case ObjectInvalid():
            return Phase.FAILED, f"{what} is not valid: {why_refused(text)}", Reason.REFUSED
        case Forbidden():
            granted = f"{error.missing}. Grant it again: gyrus cluster install"
            return Phase.BACKOFF, f"{what} is refused: {granted}", Reason.REFUSED
        case ObjectRefused() | ObjectNotFound():
            return Phase.BACKOFF, f"{what} is refused: {why_refused(text)}", Reason.REFUSED
        case _:
            return Phase.PENDING, f"{what} cannot be created yet: {text}", None
