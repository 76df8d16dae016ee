"""The progress of a rollout that a caller waits for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gyrus.client.errors import RolloutFailed, RolloutSuperseded
from gyrus.contract.operator import ApiDescription, Outcome, RevisionView, RolloutView


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutProgress:
    """One API's state during a rollout."""

    name: str
    generation: int
    """The awaited generation."""
    description: ApiDescription | None
    """The API; None if it is gone."""
    rollout: RolloutView | None
    """The generation's rollout; None if the operator no longer keeps it."""

    @property
    def ended(self) -> bool:
        return self.rollout is None or self.rollout.outcome is not Outcome.PROGRESSING

    def result(self) -> ApiDescription:
        """Return the live API. Raises RolloutFailed or RolloutSuperseded if it did not become live."""
        if self.description is None:
            raise RolloutSuperseded(self.name, "The API was deleted during the rollout.", (), None)
        if self.rollout is None or self.rollout.outcome is Outcome.SUPERSEDED:
            reason = "A newer deploy, rollback or refresh replaced it."
            raise RolloutSuperseded(self.name, reason, (), serving(self.description))
        if self.rollout.outcome is Outcome.FAILED:
            reason, *lines = self.rollout.message.splitlines() or ["The operator gave no reason."]
            raise RolloutFailed(self.name, reason, tuple(lines), serving(self.description))
        return self.description


def serving(description: ApiDescription) -> int | None:
    """Return the revision that serves now; None if there is none."""
    routed = [replica.status.revision for replica in description.replicas if replica.routed]
    return max(routed, default=None)


def find_rollout(generation: int, revisions: Sequence[RevisionView]) -> RolloutView | None:
    """Find the rollout of this generation in an API's history. Returns None if it is no longer there."""
    rollouts = (rollout for revision in revisions for rollout in revision.rollouts)
    return next((rollout for rollout in rollouts if rollout.generation == generation), None)
