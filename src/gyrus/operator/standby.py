"""An operator on standby: it waits for the Lease, answers probes, and marks its pod once it leads.

The Services of the operator select the pod with the leader's label. The new leader takes the label from all
other pods, so that a pod of a lost node does not stay behind its Service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import SystemClock
from gyrus.aio.tasks import persist
from gyrus.contract import cluster
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.kubernetes.resources import PODS, name_of
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
        await persist("the leader's label", self._mark_once, backoff=RETRY, clock=SystemClock())

    async def _mark_once(self) -> None:
        await self._label(self.place.pod, cluster.IS_LEADER)
        labels = f"{cluster.ROLE_LABEL}={cluster.OPERATOR_ROLE},{cluster.LEADER_LABEL}"
        for pod in (await self.client.list(PODS, self.place.namespace, labels=labels)).items:
            if name_of(pod) != self.place.pod:
                await self._label(name_of(pod), None)

    async def _label(self, pod: str, value: str | None) -> None:
        change = {"metadata": {"labels": {cluster.LEADER_LABEL: value}}}
        try:
            await self.client.patch(PODS, pod, change, self.place.namespace)
        except ObjectNotFound:  # it is gone since it was listed
            if value is not None:
                raise
