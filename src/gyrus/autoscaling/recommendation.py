"""A recommended number of replicas, and the rule that limited it."""

from __future__ import annotations

import math
from dataclasses import dataclass

NOISE = 1e-9
"""An excess over a whole number that is smaller than this is a rounding error."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    replicas: int
    rule: str = ""
    """A stable word; empty if no rule limited it."""
    because: str = ""

    def at_least(self, least: int, rule: str, because: str) -> Recommendation:
        return Recommendation(least, rule, because) if self.replicas < least else self

    def at_most(self, most: int, rule: str, because: str) -> Recommendation:
        return Recommendation(most, rule, because) if self.replicas > most else self

    def bounded_below(self, least: int, wanted: int, rule: str, because: str) -> Recommendation:
        """Return at least ``least``, and name this rule if it alone keeps the number above ``wanted``.

        >>> Recommendation(2, "downscale").bounded_below(2, 0, "min_replicas", "").rule
        'min_replicas'
        """
        decides = self.replicas == least > wanted
        return Recommendation(least, rule, because) if decides else self.at_least(least, rule, because)

    def bounded_above(self, most: int, wanted: int, rule: str, because: str) -> Recommendation:
        """Return at most ``most``, and name this rule if it alone keeps the number below ``wanted``.

        >>> Recommendation(4, "upscale").bounded_above(4, 9, "max_replicas", "").rule
        'max_replicas'
        """
        decides = self.replicas == most < wanted
        return Recommendation(most, rule, because) if decides else self.at_most(most, rule, because)


def whole(replicas: float) -> int:
    """Round up to whole replicas.

    >>> whole(2.0), whole(2.1), whole(3 * 1.1 - 0.3)
    (2, 3, 3)
    """
    return math.ceil(replicas - NOISE)


def grown(present: int, wanted: int, factor: float) -> Recommendation:
    """Scale up as far as ``max_upscale_factor`` allows; one more replica is always allowed.

    >>> grown(3, 7, 1.5).replicas, grown(1, 7, 1.5).replicas
    (5, 2)
    """
    most = max(present + 1, whole(present * factor))
    return Recommendation(wanted).at_most(
        most, "max_upscale_factor", f"upscale factor {factor:g} from {present}"
    )


def shrunk(present: int, wanted: int, factor: float) -> Recommendation:
    """Scale down as far as ``max_downscale_factor`` allows; one replica fewer is always allowed.

    >>> shrunk(8, 0, 0.75).replicas, shrunk(2, 0, 0.75).replicas
    (6, 1)
    """
    least = max(0, min(present - 1, whole(present * factor)))
    return Recommendation(wanted).at_least(
        least, "max_downscale_factor", f"downscale factor {factor:g} from {present}"
    )
