"""The kinds of APIs and their models: ``kind`` selects what a specification is checked against."""

from __future__ import annotations

from typing import Any

from gyrus.spec.api import ApiSpec
from gyrus.spec.realtime import RealtimeSpec

DEFAULT_KIND = "RealtimeAPI"
"""The kind of a specification that names none."""

KINDS: dict[str, type[ApiSpec]] = {"RealtimeAPI": RealtimeSpec}
"""By the value of ``kind``. A new kind is one more line here, and one in ``gyrus.control.planners``."""

LATER_KINDS = ("AsyncAPI", "BatchAPI", "TaskAPI", "TrafficSplitter")
"""Kinds that no model exists for yet."""


def model_of(kind: Any) -> type[ApiSpec]:
    """The model of this kind; of an unknown one the default's, which refuses ``kind`` itself."""
    known = KINDS.get(kind) if isinstance(kind, str) else None
    return known or KINDS[DEFAULT_KIND]
