"""The observation of one API: all facts that a decision about it depends on."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from gyrus.backends.protocol import CapacitySource, ReplicaRunner
from gyrus.control.situation import Situation
from gyrus.control.unreadable import stand_in
from gyrus.spec.api import ApiSpec
from gyrus.spec.replicated import ReplicatedSpec
from gyrus.spec.stored import UnreadableSpec
from gyrus.state.board import Board, Replica, pool_id
from gyrus.state.errors import NotFound
from gyrus.state.records import Api, Generation, Revision
from gyrus.state.store import Store

log = logging.getLogger(__name__)


class ObservedBackend(ReplicaRunner, CapacitySource, Protocol):
    """The part of a backend that an observation needs."""


@dataclass(slots=True)
class ApiObserver:
    """Reads store, board and backend, and changes none of them."""

    store: Store
    board: Board
    backend: ObservedBackend
    activator: str | None
    _revisions: dict[str, dict[int, Revision]] = field(default_factory=dict[str, dict[int, Revision]])
    """By API and number. Revisions never change, so each is read only once."""

    async def observe(self, api: Api, retiring: frozenset[str]) -> Situation[Any]:
        """Gather the API's situation. ``retiring`` are replicas that earlier steps took out of traffic."""
        target = await self.revision(api.name, api.target)
        live = await self.revision(api.name, api.live) if api.live else None
        replicas = self.replicas(api.name)
        specs = await self._specs(api, replicas)
        self._forget_unused(api, replicas)
        preemptable = self.backend.preemptable(api.name)
        return Situation(
            api=api,
            target_spec=target.spec,
            live_spec=_readable(live) if live else None,
            replicas=replicas,
            retiring=retiring & {replica.id for replica in replicas},
            acknowledged=self.board.acknowledged.get(api.name, {}),
            reachable=self.board.reachable_of(api.name),
            specs=specs,
            fault=target.fault,
            refused=self._refused(api),
            held=self.board.held.get(api.name, 0),
            activator=self.activator,
            bridge=self.board.bridge,
            capacity=self._capacity(target),
            preemptable=None if preemptable is None else frozenset(preemptable),
        )

    def _refused(self, api: Api) -> str:
        """Return what a gateway refuses of the target's pool."""
        refusal = self.board.refused.get(api.name)
        target = pool_id(api.name, api.target.number)
        return refusal.message if refusal and target in refusal.pools else ""

    def _capacity(self, target: Revision) -> int | None:
        """Return the most replicas that fit. Returns None for no known limit, and for a kind without any."""
        if not isinstance(target.spec, ReplicatedSpec):
            return None
        return self.backend.capacity_for(target.api, target.spec.workload(target.package).compute)

    def replicas(self, api: str) -> tuple[Replica, ...]:
        """Return the API's replicas, oldest first."""
        observed = self.backend.observe(api).values()
        replicas = (
            Replica(status=each.status, generation=each.generation, evacuation=each.evacuation)
            for each in observed
        )
        return tuple(sorted(replicas, key=lambda r: (r.generation, r.status.started_at or 0.0, r.id)))

    async def revision(self, api: str, generation: Generation) -> Revision:
        """Return the generation's revision. Raises NotFound if the store does not have it."""
        return await self._numbered(api, generation.revision)

    async def _numbered(self, api: str, number: int) -> Revision:
        known = self._revisions.setdefault(api, {})
        if number not in known:
            revision = await self.store.revision(api, number)
            if revision is None:
                raise NotFound(f"revision {number} of {api} is not in the store")
            if revision.fault:
                log.error("%s fails: %s", api, revision.fault)
            known[number] = revision
        return known[number]

    async def _specs(self, api: Api, replicas: tuple[Replica, ...]) -> dict[int, ApiSpec]:
        """Return the specifications, by revision, of replicas that are neither the target's nor live.

        Revisions that the store does not have are left out.
        """
        known = {generation.revision for generation in (api.target, api.live) if generation}
        specs: dict[int, ApiSpec] = {}
        for number in {replica.status.revision for replica in replicas} - known:
            with suppress(NotFound):
                specs[number] = _readable(await self._numbered(api.name, number))
        return specs

    def _forget_unused(self, api: Api, replicas: tuple[Replica, ...]) -> None:
        """Forget the revisions that neither the target, nor the live generation, nor a replica has."""
        used = {generation.revision for generation in (api.target, api.live) if generation}
        used.update(replica.status.revision for replica in replicas)
        known = self._revisions[api.name]
        self._revisions[api.name] = {number: known[number] for number in known.keys() & used}

    def forget(self, api: str) -> None:
        self._revisions.pop(api, None)


def _readable(revision: Revision) -> ApiSpec:
    """Return the specification, or a stand-in for one that cannot be read: its replicas may still serve."""
    spec = revision.spec
    return stand_in(revision.api, spec) if isinstance(spec, UnreadableSpec) else spec
