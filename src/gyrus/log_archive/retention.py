"""The choice of what an archive removes. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from gyrus.log_archive.archive import ArchiveLimits
from gyrus.log_archive.segment import Segment


def expired(segments: Collection[Segment], limits: ArchiveLimits, now: float) -> list[Segment]:
    """Return the segments to remove so that the others are within the limits, the oldest first.

    ``now``: seconds since the epoch.
    """
    kept = [segment for segment in segments if segment.last >= now - limits.age]
    by_api: dict[str, list[Segment]] = defaultdict(list)
    for segment in kept:
        by_api[segment.api].append(segment)
    kept = [segment for own in by_api.values() for segment in _newest(own, limits.per_api)]
    left = {segment.key for segment in _newest(kept, limits.total)}
    return sorted((segment for segment in segments if segment.key not in left), key=_age)


def _newest(segments: Iterable[Segment], most: int) -> list[Segment]:
    """Return the newest segments that have at most so many bytes together."""
    found: list[Segment] = []
    for segment in sorted(segments, key=_age, reverse=True):
        most -= segment.size
        if most < 0:
            break
        found.append(segment)
    return found


def _age(segment: Segment) -> tuple[float, str]:
    return segment.last, segment.key
