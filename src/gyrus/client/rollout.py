"""How far a rollout is that somebody waits for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.client.errors import RolloutFailed, RolloutSuperseded
from gyrus.contract.operator import ApiDescription, Outcome, RevisionView, RolloutView


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutProgress:
    """One API, seen while its rollout is waited for."""

    name: str
    generation: int
    """The one that is waited for."""
    description: ApiDescription | None
    """None: the API is gone."""
    rollout: RolloutView | None
    """Of that generation; None where it has been forgotten."""

    @property
    def ended(self) -> bool:
        return self.rollout is None or self.rollout.outcome is not Outcome.PROGRESSING

    def result(self) -> ApiDescription:
        """The live API. Raises RolloutFailed or RolloutSuperseded where it did not come live."""
        if self.description is None:
            raise RolloutSuperseded(self.name, "The API was deleted meanwhile.", (), None)
        if self.rollout is None or self.rollout.outcome is Outcome.SUPERSEDED:
            reason = "A newer deploy, rollback or refresh took its place."
            raise RolloutSuperseded(self.name, reason, (), serving(self.description))
        if self.rollout.outcome is Outcome.FAILED:
            reason, *lines = self.rollout.message.splitlines() or ["The operator gave no reason."]
            raise RolloutFailed(self.name, reason, tuple(lines), serving(self.description))
        return self.description


def serving(description: ApiDescription) -> int | None:
    """The revision that answers requests now."""
    routed = [replica.status.revision for replica in description.replicas if replica.routed]
    return max(routed, default=None)


def find_rollout(generation: int, revisions: Sequence[RevisionView]) -> RolloutView | None:
    """The rollout of this generation in an API's history."""
    rollouts = (rollout for revision in revisions for rollout in revision.rollouts)
    return next((rollout for rollout in rollouts if rollout.generation == generation), None)
