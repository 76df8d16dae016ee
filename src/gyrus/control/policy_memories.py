"""The memories of autoscaling policies in the store: written now and then, read by the next operator."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.slices import slices
from gyrus.autoscaling.memory import VERSION, PolicyMemory, UnreadableMemory, read, write
from gyrus.autoscaling.policy import Policy
from gyrus.spec.replicated import Scaling
from gyrus.state.errors import StateError
from gyrus.state.records import Api, ScalingMemory
from gyrus.state.store import Store

log = logging.getLogger(__name__)

BATCH = 20
"""Memories in a transaction: deploys wait for it, and one memory has up to 50 kB."""


class LivePolicy(Policy, Protocol):
    """A policy that keeps its memory when the specification changes, and over restarts of the operator."""

    def reconfigure(self, scaling: Scaling) -> None: ...

    def memory(self) -> PolicyMemory | None: ...

    def recall(self, memory: PolicyMemory, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class LearnedPolicy:
    """The policy of one API."""

    api: str
    created_at: datetime
    policy: LivePolicy


@dataclass(slots=True)
class PolicyMemories:
    """Reader and writer of the memories. They are no intent: without them, policies learn again."""

    store: Store
    clock: Clock

    async def find(self, api: Api) -> PolicyMemory | None:
        """Return the stored memory of an API. Logs one that cannot be read, and returns None."""
        stored = await self.store.memory(api.name)
        try:
            return read(stored.document, stored.version) if stored else None
        except UnreadableMemory as error:
            log.warning("dropping what the autoscaler had learned about %s: %s", api.name, error)
            return None

    async def save(self, policies: Iterable[LearnedPolicy]) -> None:
        """Store all that these policies have learned. If the store fails, logs it: they are saved again."""
        memories: list[ScalingMemory] = []
        try:
            async for each in slices(policies, clock=self.clock):
                memories += self._memories(each)
                if len(memories) >= BATCH:
                    await self.store.save_memories(memories)
                    memories.clear()
            if memories:
                await self.store.save_memories(memories)
        except StateError as error:
            log.warning("cannot store what the autoscaler has learned: %s", error)

    def _memories(self, learned: LearnedPolicy) -> Iterable[ScalingMemory]:
        """Yield the policy's memory, if it has any."""
        if memory := learned.policy.memory():
            yield ScalingMemory(
                api=learned.api,
                created_at=learned.created_at,
                version=VERSION,
                document=write(memory),
                saved_at=self.clock.now(),
            )
