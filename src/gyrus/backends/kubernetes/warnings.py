"""The cluster's warning events about pods, by pod and reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gyrus.backends.kubernetes.observed import PodWarning
from gyrus.backends.kubernetes.pod import seconds
from gyrus.kubernetes.resources import Manifest

_REPEATED = re.compile(r"Error: (ErrImage|ImagePull|ErrImageNeverPull)")
"""Messages of events that repeat a container's state without its cause."""


@dataclass(slots=True)
class _About:
    """One pod's warnings, and the names of the events that reported them."""

    latest: dict[str, PodWarning] = field(default_factory=dict[str, PodWarning])
    events: set[str] = field(default_factory=set[str])


class PodWarnings:
    """The latest warning of each reason about each pod. Changes with the events that it is given.

    The cluster keeps events for an hour. The warnings about a pod end with the last of its events.
    """

    def __init__(self) -> None:
        self._by_uid: dict[str, _About] = {}
        self._uid_of: dict[str, str] = {}
        """By the event's name: the pod's uid."""

    def of(self, uid: str) -> Mapping[str, PodWarning]:
        about = self._by_uid.get(uid)
        return about.latest if about else {}

    def take(self, name: str, event: Manifest | None) -> str | None:
        """Take over an event, or its end; return the name of the pod. Returns None for an end."""
        if event is None:
            self._forget(name)
            return None
        pod: Mapping[str, Any] = event.get("involvedObject") or {}
        uid, warning = pod.get("uid", ""), _warning(event)
        if _REPEATED.match(warning.message):
            return None  # of the same reason as the event with the cause, which would be lost
        about = self._by_uid.setdefault(uid, _About())
        about.events.add(name)
        self._uid_of[name] = uid
        known = about.latest.get(warning.key)
        if known is None or warning.at >= known.at:
            about.latest[warning.key] = warning
        return pod.get("name")

    def _forget(self, name: str) -> None:
        uid = self._uid_of.pop(name, None)
        about = self._by_uid.get(uid) if uid is not None else None
        if about is not None and uid is not None:
            about.events.discard(name)
            if not about.events:
                del self._by_uid[uid]


def _warning(event: Manifest) -> PodWarning:
    series: Mapping[str, Any] = event.get("series") or {}
    time = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return PodWarning(
        reason=event.get("reason", ""),
        message=event.get("message", ""),
        count=series.get("count") or event.get("count") or 1,
        at=seconds(time or event["metadata"].get("creationTimestamp")) or 0.0,
    )
