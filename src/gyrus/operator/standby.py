"""An operator on standby: it waits for the Lease, and marks its pod once it leads.

Probes and metrics are served from the process's start to its end.

The Services of the operator select the pod with the leader's label. The new leader takes the label from all
other pods, so that a pod of a lost node does not stay behind its Service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import SystemClock
from gyrus.aio.tasks import persist
from gyrus.contract import cluster
from gyrus.kubernetes.client import ClusterClient, Listed
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.kubernetes.resources import PODS, Manifest, ResourceKind, name_of
from gyrus.operator.errors import StandbyStopped, StartError
from gyrus.operator.leadership import Leadership
from gyrus.operator.pod_place import PodPlace
from gyrus.operator.stopping import StopRequest
from gyrus.server.listening import CannotListen, listen_on_port
from gyrus.server.monitoring import OperatorMonitor, build_monitoring_app
from gyrus.server.serving import serve
from gyrus.server.standby import build_standby_app

log = logging.getLogger(__name__)

RETRY = Backoff(0.5, 5.0)


@dataclass(frozen=True, slots=True)
class Standby:
    """The leadership of an operator that may have to wait for it.

    Implements :class:`gyrus.operator.leadership.Leadership`.
    """

    leadership: Leadership
    client: ClusterClient
    place: PodPlace
    ending: StopRequest
    monitor: OperatorMonitor

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[None]:
        """Wait until this operator leads, then give its pod the leader's label.

        Metrics and health are served from here to the end of the block. Raises StandbyStopped, in a group, if
        it is asked to stop before it leads.
        """
        async with asyncio.TaskGroup() as group:
            watched = group.create_task(self._serve_monitoring(), name="monitoring")
            waiting = [
                group.create_task(self._answer(), name="standby API"),
                group.create_task(self._stop_if_asked(), name="stop of the standby"),
            ]
            async with self.leadership.acquire():
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                log.info("This operator leads.")
                self.monitor.begin()
                marking = group.create_task(self._mark(), name="leader's label")
                try:
                    yield
                finally:
                    marking.cancel()
                    watched.cancel()

    async def lost(self) -> str:
        return await self.leadership.lost()

    async def _answer(self) -> None:
        """Refuse requests until cancelled."""
        listener = listen_on_port(cluster.ANY_HOST, cluster.API_PORT, self.place.server_tls())
        await serve(build_standby_app(), [listener], started=asyncio.Event())

    async def _serve_monitoring(self) -> None:
        """Serve metrics and health until cancelled. Raises StartError if the port is taken."""
        try:
            listener = listen_on_port(cluster.ANY_HOST, cluster.MONITORING_PORT, None)
        except CannotListen as error:
            raise StartError(str(error)) from error
        await serve(build_monitoring_app(self.monitor), [listener], started=asyncio.Event(), grace=0)

    async def _stop_if_asked(self) -> None:
        await self.ending.asked.wait()
        raise StandbyStopped

    async def _mark(self) -> None:
        """Give the leader's label to this pod alone, and try until it has it."""
        mark = partial(mark_leader, self.client, self.place.namespace, self.place.pod)
        await persist("the leader's label", mark, backoff=RETRY, clock=SystemClock())


class Pods(Protocol):
    """The pods of a cluster."""

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed: ...

    async def patch(
        self, resource: ResourceKind, name: str, change: Mapping[str, Any], namespace: str | None = None
    ) -> Manifest: ...


async def mark_leader(pods: Pods, namespace: str, leader: str) -> None:
    """Give the leader's label to this pod, and take it from all others. Raises KubernetesError."""
    await pods.patch(PODS, leader, _label(cluster.IS_LEADER), namespace)
    labels = f"{cluster.ROLE_LABEL}={cluster.OPERATOR_ROLE}"
    for pod in (await pods.list(PODS, namespace, labels=labels)).items:
        if name_of(pod) != leader and cluster.LEADER_LABEL in pod["metadata"]["labels"]:
            with suppress(ObjectNotFound):  # it is gone since it was listed
                await pods.patch(PODS, name_of(pod), _label(None), namespace)


def _label(value: str | None) -> Manifest:
    return {"metadata": {"labels": {cluster.LEADER_LABEL: value}}}
