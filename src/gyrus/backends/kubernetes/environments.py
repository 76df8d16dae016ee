"""Python environments, each built once by a pod.

The builder pod resolves and builds the environment and uploads its archive to the operator. It outlives the
operator: the next one waits for the same pod.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Listener, Signals
from gyrus.aio.single_flight import Report, SingleFlight
from gyrus.backends.kubernetes.observed import Warnings, failure_of, waiting_for
from gyrus.backends.kubernetes.pod import Pod
from gyrus.backends.kubernetes.resources import builder_pod
from gyrus.backends.kubernetes.settings import KubernetesSettings
from gyrus.contract.cluster import BUILDER_ROLE, ROLE_LABEL
from gyrus.contract.pods import BuildOrder, builder_name
from gyrus.environments.errors import EnvironmentFailure
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import AlreadyExists, KubernetesError, ObjectNotFound
from gyrus.kubernetes.resources import PODS, Manifest

log = logging.getLogger(__name__)

REMEMBERED = 60.0
"""Seconds for which a failed build is not repeated for the same asker."""


@dataclass(frozen=True, slots=True)
class _Failed:
    failure: EnvironmentFailure
    asker: str
    until: float
    """Monotonic seconds."""


class EnvironmentBuilds:
    """The builds in progress. The files server reports to it, and so does the watch of pods."""

    def __init__(
        self,
        client: ClusterClient,
        pods: Mapping[str, Manifest],
        settings: KubernetesSettings,
        clock: Clock,
        is_built: Callable[[str], bool],
        warnings: Callable[[str], Warnings],
    ) -> None:
        """Start without a build.

        ``pods``: the pods as the watch shows them. ``is_built``: returns True if the archive is stored.
        ``warnings``: returns the warnings about the pod of a uid.
        """
        self._client = client
        self._pods = pods
        self._settings = settings
        self._clock = clock
        self._is_built = is_built
        self._warnings = warnings
        self._builds = SingleFlight[None]("environment")
        self._changes = Signals()
        """Signals with environments and with names of builders."""
        self._progress: dict[str, str] = {}
        self._packages: dict[str, str] = {}
        """By environment: the package that it is built from."""
        self._failed: dict[str, _Failed] = {}
        self._awaited: set[str] = set()
        """Names of the builders that a build waits for."""

    def is_build_of(self, environment: str, package: str) -> bool:
        """Return True if a build of the environment from this package was requested."""
        return self._packages.get(environment) == package

    def is_built(self, environment: str) -> bool:
        return self._is_built(environment)

    async def ensure(self, order: BuildOrder, asker: str, report: Report) -> None:
        """Return when the environment is stored; start a builder if it is not.

        ``asker``: the deploy of an API. A failure is remembered for its asker only.

        Raises EnvironmentFailure, KubernetesError.
        """
        environment = order.environment
        if self._is_built(environment):
            return
        if order.package:
            self._packages[environment] = order.package
        failed = self._failed.get(environment)
        if failed and failed.asker == asker and self._clock.monotonic() < failed.until:
            raise failed.failure
        try:
            await self._builds.join(environment, lambda report: self._build(order, report), report)
        except EnvironmentFailure as failure:
            until = self._clock.monotonic() + REMEMBERED
            self._failed[environment] = _Failed(failure, asker, until)
            raise

    # Reports

    def progress(self, environment: str, message: str) -> None:
        """Take a line about the progress of a build."""
        self._progress[environment] = message
        self._changes.notify(environment)

    def stored(self, environment: str) -> None:
        """Note that the archive of an environment is complete."""
        self._changes.notify(environment)

    def notice(self, name: str) -> None:
        """Note that a builder's pod has changed."""
        self._changes.notify(name)

    def left_over(self) -> tuple[Pod, ...]:
        """Return the builders that have ended, and that no build waits for."""
        pods = (Pod(manifest) for name, manifest in self._pods.items() if name not in self._awaited)
        return tuple(
            pod
            for pod in pods
            if pod.labels.get(ROLE_LABEL) == BUILDER_ROLE
            and pod.phase in ("Succeeded", "Failed")
            and not pod.deleted
        )

    # Implementation

    async def _build(self, order: BuildOrder, report: Report) -> None:
        environment = order.environment
        self._progress.pop(environment, None)
        with self._changes.listen() as changes:
            report("starting the builder")
            name = await self._start(order)
            self._awaited.add(name)
            try:
                await self._wait(environment, name, changes, report)
            finally:
                self._awaited.discard(name)
        self._progress.pop(environment, None)

    async def _start(self, order: BuildOrder) -> str:
        """Return the name of a builder that runs; create one if none does."""
        base = builder_name(order.environment)
        attempt = 0
        while True:
            name = f"{base}-{attempt}" if attempt else base
            try:
                await self._client.create(builder_pod(name, order, self._settings))
                return name
            except AlreadyExists:
                found = await self._client.find(PODS, name, self._settings.namespace)
                if found and not _ended(Pod(found)):
                    return name
            attempt += 1

    async def _wait(self, environment: str, name: str, changes: Listener, report: Report) -> None:
        """Wait until the archive is stored. Raises EnvironmentFailure."""
        seen = False
        while not self._is_built(environment):
            manifest = self._pods.get(name)
            if manifest is not None:
                seen = True
                pod = Pod(manifest)
                if _ended(pod):
                    # The archive may have been stored since the check above: a builder ends after the upload.
                    if self._is_built(environment):
                        return
                    raise _failure(pod)
                if hindrance := waiting_for(pod, self._warnings(pod.uid)):
                    report(hindrance)
                elif message := self._progress.get(environment):
                    report(message)
            elif seen:
                raise EnvironmentFailure("the builder's pod was deleted before it had built the environment")
            await changes.wait()

    async def remove(self, pod: Pod) -> None:
        """Delete a builder that has ended."""
        try:
            await self._client.delete(PODS, pod.name, self._settings.namespace, uid=pod.uid)
        except ObjectNotFound:
            pass
        except KubernetesError as error:  # the next change of it tries again
            log.warning("The builder %s could not be deleted: %s", pod.name, error)


def _ended(pod: Pod) -> bool:
    return pod.deleted or pod.phase in ("Succeeded", "Failed")


def _failure(pod: Pod) -> EnvironmentFailure:
    if failure := failure_of(pod.first):
        return EnvironmentFailure(failure.message, failure.lines)
    if pod.reason or pod.deleted:
        cause = pod.message or pod.reason or "it was deleted"
        return EnvironmentFailure(f"the builder's pod ended before it had built the environment: {cause}")
    ended = pod.first.terminated or {}
    if ended.get("reason") == "OOMKilled":
        return EnvironmentFailure("the builder used more memory than its node has")
    code = ended.get("exitCode")
    return EnvironmentFailure(f"the builder exited with code {code}, and has not stored the environment")
