"""The number of examples of tests with hypothesis, by the profile of the run.

``make test`` tries as many as hypothesis does by itself, ``make test-fast`` a fifth of them.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

FULL = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Without limits of time: a busy machine would exceed them."""


def register_profiles() -> None:
    settings.register_profile("full", FULL)
    settings.register_profile("fast", FULL, max_examples=FULL.max_examples // 5)
    settings.load_profile("full")


def examples(share: float) -> int:
    """This share of the profile's examples, for a test that needs more of them, or is long."""
    return max(1, round(share * settings().max_examples))
