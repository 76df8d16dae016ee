"""The policies by their names on the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from gyrus.autoscaling.policy import Policy
from gyrus.simulator.offered_load import OfferedLoad
from gyrus.spec.realtime import RealtimeSpec

COMPARED = ("gyrus", "cortex", "kpa", "hpa", "clairvoyant")
"""Policies in the order of a comparison. The last one knows the future: the others are measured by it."""

KNOWN = "gyrus, cortex, kpa, hpa, clairvoyant or fixed:N"
MOST_FIXED = 10_000

_FIXED = re.compile(r"fixed:(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyContext:
    """The input from which a policy can be built."""

    spec: RealtimeSpec
    offered_load: OfferedLoad
    """The offered load, for the policy that knows the future."""
    startup: float
    """Expected seconds of a start-up."""


def check(name: str) -> None:
    """Check a policy's name. Raises ValueError, whose text continues a sentence that begins with the name."""
    fixed = _FIXED.fullmatch(name)
    if name not in _MAKERS and not fixed:
        raise ValueError(f"is not a policy; the policies are {KNOWN}")
    if fixed and int(fixed[1]) > MOST_FIXED:
        raise ValueError(f"is too many replicas; write at most fixed:{MOST_FIXED}")


def make(name: str, situation: PolicyContext) -> Policy:
    """Build a policy without any memory. Raises ValueError as :func:`check` does."""
    check(name)
    if fixed := _FIXED.fullmatch(name):
        from gyrus.simulator.policies.fixed import FixedPolicy

        return FixedPolicy(int(fixed[1]))
    return _MAKERS[name](situation)


def _gyrus(situation: PolicyContext) -> Policy:
    from gyrus.autoscaling.default import DefaultPolicy

    return DefaultPolicy(situation.spec.scaling)


def _cortex(situation: PolicyContext) -> Policy:
    from gyrus.simulator.policies.cortex import CortexPolicy

    return CortexPolicy(situation.spec)


def _kpa(situation: PolicyContext) -> Policy:
    from gyrus.simulator.policies.kpa import KpaPolicy

    return KpaPolicy(situation.spec)


def _hpa(situation: PolicyContext) -> Policy:
    from gyrus.simulator.policies.hpa import HpaPolicy

    return HpaPolicy(situation.spec)


def _clairvoyant(situation: PolicyContext) -> Policy:
    from gyrus.simulator.policies.clairvoyant import ClairvoyantPolicy

    return ClairvoyantPolicy(situation)


_MAKERS: dict[str, Callable[[PolicyContext], Policy]] = {
    "gyrus": _gyrus,
    "cortex": _cortex,
    "kpa": _kpa,
    "hpa": _hpa,
    "clairvoyant": _clairvoyant,
}
