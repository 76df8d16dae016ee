"""A number of replicas, and the rule that made it so."""

from __future__ import annotations

import math
from dataclasses import dataclass

NOISE = 1e-9
"""Less than this above a whole number comes of the arithmetic."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    replicas: int
    rule: str = ""
    """A stable word; empty where nothing bound it."""
    because: str = ""

    def at_least(self, least: int, rule: str, because: str) -> Recommendation:
        return Recommendation(least, rule, because) if self.replicas < least else self

    def at_most(self, most: int, rule: str, because: str) -> Recommendation:
        return Recommendation(most, rule, because) if self.replicas > most else self


def whole(replicas: float) -> int:
    """
    >>> whole(2.0), whole(2.1), whole(3 * 1.1 - 0.3)
    (2, 3, 3)
    """
    return math.ceil(replicas - NOISE)


def grown(present: int, wanted: int, factor: float) -> Recommendation:
    """As far as ``max_upscale_factor`` allows; one more it always does.

    >>> grown(3, 7, 1.5).replicas, grown(1, 7, 1.5).replicas
    (5, 2)
    """
    most = max(present + 1, whole(present * factor))
    return Recommendation(wanted).at_most(
        most, "max_upscale_factor", f"upscale factor {factor:g} from {present}"
    )


def shrunk(present: int, wanted: int, factor: float) -> Recommendation:
    """As far as ``max_downscale_factor`` allows; one fewer it always does.

    >>> shrunk(8, 0, 0.75).replicas, shrunk(2, 0, 0.75).replicas
    (6, 1)
    """
    least = max(0, min(present - 1, whole(present * factor)))
    return Recommendation(wanted).at_least(
        least, "max_downscale_factor", f"downscale factor {factor:g} from {present}"
    )
