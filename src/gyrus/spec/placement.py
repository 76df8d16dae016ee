"""The nodes on which replicas may run. On one machine, these fields have no effect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from gyrus.contract import workload
from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction
from gyrus.spec.words import LabelKey, LabelValue


class TaintToleration(Model):
    """A taint of nodes that replicas accept."""

    key: LabelKey | None = Field(default=None, examples=["nvidia.com/gpu"])
    """The taint's key. By default every key, which needs operator: Exists."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Equal: the value must be equal. Exists: every value."""
    value: LabelValue | None = None
    """The taint's value."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect. By default every effect."""
    toleration_seconds: int | None = Field(default=None, ge=0)
    """Seconds for which a replica stays after a taint with NoExecute. By default for ever."""

    def contradictions(self) -> Iterator[Contradiction]:
        if self.operator == "Exists" and self.value is not None:
            message = f"is {self.value}, and operator: Exists takes every value"
            yield Contradiction(
                path=("value",), message=message, remedy="remove it, or write operator: Equal"
            )
        if self.operator == "Equal" and self.key is None:
            message = "is missing, and operator: Equal needs one"
            yield Contradiction(path=("key",), message=message, remedy="name it, or write operator: Exists")
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            message = "has no meaning without effect: NoExecute"
            yield Contradiction(
                path=("toleration_seconds",), message=message, remedy="write effect: NoExecute"
            )


def toleration_of(toleration: TaintToleration) -> workload.Toleration:
    return workload.Toleration(
        key=toleration.key,
        operator=toleration.operator,
        value=toleration.value,
        effect=toleration.effect,
        seconds=toleration.toleration_seconds,
    )
