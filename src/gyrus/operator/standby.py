"""An operator on standby: it waits for the Lease, answers probes, and marks its pod once it leads.

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
from gyrus.operator.errors import StandbyStopped
from gyrus.operator.leadership import Leadership
from gyrus.operator.pod_place import PodPlace
from gyrus.operator.stopping import StopRequest
from gyrus.server.listening import listen_on_port
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

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[None]:
        """Wait until this operator leads, then give its pod the leader's label.

        Raises StandbyStopped, in a group, if it is asked to stop before that.
        """
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(self._answer(), name="standby API"),
                group.create_task(self._stop_if_asked(), name="stop of the standby"),
            ]
            async with self.leadership.acquire():
                for task in waiting:
                    task.cancel()
                await asyncio.wait(waiting)
                log.info("This operator leads.")
                marking = group.create_task(self._mark(), name="leader's label")
                try:
                    yield
                finally:
                    marking.cancel()

    async def lost(self) -> str:
        return await self.leadership.lost()

    async def _answer(self) -> None:
        """Answer probes, and refuse other requests, until cancelled."""
        listener = listen_on_port(cluster.ANY_HOST, cluster.API_PORT, self.place.server_tls())
        await serve(build_standby_app(), [listener], started=asyncio.Event())

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
