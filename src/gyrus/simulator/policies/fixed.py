"""A constant number of replicas, as without an autoscaler."""

from __future__ import annotations

from gyrus.autoscaling.policy import Decision, Sample


class FixedPolicy:
    every = 1.0

    def __init__(self, replicas: int) -> None:
        self.replicas = replicas

    @property
    def initial(self) -> int:
        """All replicas: they are ready from the beginning."""
        return self.replicas

    def decide(self, sample: Sample) -> Decision:
        return Decision(
            at=sample.now,
            was=sample.requested,
            wanted=self.replicas,
            replicas=self.replicas,
            rule="",
            because="",
        )
