"""The kinds of APIs and their models: ``kind`` selects the model that checks a specification."""

from __future__ import annotations

from typing import Any

from gyrus.spec.api import ApiSpec
from gyrus.spec.realtime import RealtimeSpec

DEFAULT_KIND = "RealtimeAPI"
"""The kind of a specification that names none."""

KINDS: dict[str, type[ApiSpec]] = {"RealtimeAPI": RealtimeSpec}
"""By the value of ``kind``. A new kind needs one line here, and one in ``gyrus.control.planners``."""

LATER_KINDS = ("AsyncAPI", "BatchAPI", "TaskAPI", "TrafficSplitter")
"""Kinds without a model so far."""


def model_of(kind: Any) -> type[ApiSpec]:
    """Return the model of this kind. An unknown kind gets the default model, which refuses ``kind``."""
    known = KINDS.get(kind) if isinstance(kind, str) else None
    return known or KINDS[DEFAULT_KIND]
