from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from gyrus.contract.operator import Outcome, Status
from gyrus.contract.replica import Phase, ReplicaStatus
from gyrus.server.context import ServerContext
from gyrus.server.views import Views
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board, Replica
from gyrus.state.memory import MemoryStore
from gyrus.state.records import Api, Rollout

START = datetime(2030, 1, 1, tzinfo=UTC)


class EndingStore(MemoryStore):
    """Ends the rollout right after the first read of an API or of its rollouts."""

    async def api(self, name: str) -> Api | None:
        api = await super().api(name)
        await self._end()
        return api

    async def rollouts(self, name: str) -> tuple[Rollout, ...]:
        rollouts = await super().rollouts(name)
        await self._end()
        return rollouts

    async def _end(self) -> None:
        apis: Sequence[Api] = await self.apis()
        for api in apis:
            if api.outcome is Outcome.PROGRESSING:
                await self.finish(api, Outcome.DONE, "", START)


async def test_a_rollout_that_is_done_has_an_api_that_is_live(context: ServerContext, board: Board) -> None:
    store = EndingStore()
    status = ReplicaStatus(id="iris-1-abcde", api="iris", revision=1, phase=Phase.READY)
    board.replicas["iris"] = (Replica(status=status, generation=1),)
    await store.deploy(
        [RealtimeSpec.model_validate({"name": "iris", "process": {"command": ["serve"]}})], None, START
    )
    views = Views(replace(context, store=store))
    first, second = await views.whole("iris"), await views.whole("iris")
    assert first.rollout.outcome is Outcome.PROGRESSING
    assert second.rollout.outcome is Outcome.DONE
    assert (first.api.status, second.api.status) == (Status.LIVE, Status.LIVE)
