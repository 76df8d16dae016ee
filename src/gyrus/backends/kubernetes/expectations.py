"""Own writes until the watch has passed them. Pure.

The answer to a create or delete shows the pod as written, with its resource version. It counts until the
watch has reached this version: the cache may lag behind, but what it shows from then on is newer.
"""

from __future__ import annotations

from gyrus.kubernetes.resources import Manifest, version_of


def newest(own: Manifest | None, seen: Manifest | None, version: str) -> Manifest | None:
    """Return the newer one of an own write and the cache's object. Returns None if there is no object.

    ``own``: the answer to the last write; None: there was none. ``seen``: the object in the cache.
    ``version``: the cache's resource version.
    """
    if own is None or passed(own, version):
        return seen
    if seen is not None and _number(version_of(seen)) > _number(version_of(own)):
        return seen
    return own


def passed(own: Manifest, version: str) -> bool:
    """Return True if the cache's version includes the write."""
    return _number(version) >= _number(version_of(own))


def _number(version: str) -> int:
    """Return a resource version as a number. Kubernetes' own versions are ordered numbers."""
    return int(version) if version.isdecimal() else -1
