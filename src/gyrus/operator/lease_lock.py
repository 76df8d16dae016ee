"""Leadership on Kubernetes: a Lease that one operator's pod holds and renews."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from gyrus.aio.clock import Clock, SystemClock
from gyrus.contract import cluster
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import Forbidden, KubernetesError, ObjectConflict
from gyrus.kubernetes.resources import LEASES, Manifest
from gyrus.operator import lease as rules
from gyrus.operator.errors import StartError
from gyrus.operator.lease import Lease, LeaseSighting

log = logging.getLogger(__name__)

ATTEMPT = 4.0
"""Seconds for one request. It is shorter than the time after which the leader gives up."""
_RELEASE = 2.0
"""Seconds to release the lease at a clean end."""


@dataclass(slots=True)
class LeaseLock:
    """The leadership of the operator whose pod holds the Lease.

    Implements :class:`gyrus.operator.leadership.Leadership`.
    """

    client: ClusterClient
    namespace: str
    me: str
    """The pod's name."""
    clock: Clock = field(default_factory=SystemClock)
    name: str = cluster.OPERATOR
    _renewed: float = 0.0
    """When the last successful renewal began, by the monotonic clock."""
    _lost: asyncio.Future[str] | None = None

    @asynccontextmanager
    async def acquire(self) -> AsyncGenerator[None]:
        """Wait until the lease is free, hold it, and release it at the end. Raises StartError."""
        await self._wait()
        self._lost = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as group:
            renewing = group.create_task(self._renew(self._lost), name="lease")
            try:
                yield
            finally:
                renewing.cancel()
                if not self._lost.done():
                    await self._release()

    async def lost(self) -> str:
        assert self._lost is not None, "only within acquire()"
        return await asyncio.shield(self._lost)

    async def _wait(self) -> None:
        sighting: LeaseSighting | None = None
        logged = ""
        while True:
            try:
                stored = await self._read()
                sighting = rules.seen(sighting, _lease(stored), self.clock.monotonic())
                if rules.may_take(sighting, self.me, self.clock.monotonic()) and await self._take(stored):
                    return
                holder = sighting.lease.holder
                if holder != logged:
                    log.info("Operator %s leads. This one waits.", holder)
                    logged = holder
            except Forbidden as error:
                raise StartError(f"The operator cannot lead: {error}.") from error
            except KubernetesError as error:
                log.warning("The lease %s cannot be read now: %s", self.name, error)
            await self.clock.sleep(rules.RENEW_EVERY)

    async def _renew(self, lost: asyncio.Future[str]) -> None:
        """Renew until the lease is lost."""
        while not lost.done():
            await self.clock.sleep(rules.RENEW_EVERY)
            try:
                stored = await self._read()
                holder = _lease(stored).holder
                if holder != self.me:
                    lost.set_result(f"the operator {holder or 'of nobody'} has taken the lease {self.name}")
                    return
                await self._take(stored)
            except KubernetesError as error:
                log.warning("The lease %s could not be renewed: %s", self.name, error)
            if rules.is_lost(self._renewed, self.clock.monotonic()):
                lost.set_result(f"the lease {self.name} could not be renewed for {rules.GIVE_UP:g} s")

    async def _read(self) -> Manifest | None:
        async with _within(ATTEMPT):
            return await self.client.find(LEASES, self.name, self.namespace)

    async def _take(self, stored: Manifest | None) -> bool:
        """Write this operator into the lease. Returns False if another one was faster."""
        began = self.clock.monotonic()
        wanted = rules.taken(_lease(stored), self.me, _time(self.clock.now()))
        try:
            async with _within(ATTEMPT):
                await self._write(stored, wanted)
        except ObjectConflict:  # AlreadyExists is one
            return False
        self._renewed = began
        return True

    async def _write(self, stored: Manifest | None, wanted: Lease) -> None:
        metadata = {"name": self.name, "namespace": self.namespace}
        if stored is None:
            await self.client.create(_manifest(metadata, wanted))
        else:  # the resource version lets only one of two writers succeed
            await self.client.replace(_manifest(stored["metadata"], wanted))

    async def _release(self) -> None:
        """Release the lease, so that a standby need not wait for its end."""
        with suppress(KubernetesError, TimeoutError):
            async with asyncio.timeout(_RELEASE):
                stored = await self.client.find(LEASES, self.name, self.namespace)
                lease = _lease(stored)
                if stored is not None and lease.holder == self.me:
                    released = Lease(renewed=lease.renewed, transitions=lease.transitions)
                    await self.client.replace(_manifest(stored["metadata"], released))


@asynccontextmanager
async def _within(seconds: float) -> AsyncGenerator[None]:
    """Limit a request's time. Raises KubernetesError."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise KubernetesError(f"no answer within {seconds:g} s") from error


def _lease(stored: Manifest | None) -> Lease:
    spec = cast("dict[str, Any]", stored.get("spec") or {}) if stored else {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        renewed=spec.get("renewTime") or "",
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def _manifest(metadata: Manifest, lease: Lease) -> Manifest:
    spec: Manifest = {
        "holderIdentity": lease.holder,
        "leaseDurationSeconds": round(rules.DURATION),
        "leaseTransitions": lease.transitions,
    }
    if lease.renewed:
        spec["renewTime"] = lease.renewed
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def _time(now: datetime) -> str:
    """Return the time as Kubernetes' MicroTime."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
