"""Replicas are found by their id and by their API."""

from __future__ import annotations

import pytest

from gyrus.backends.replica_index import ReplicaIndex


def test_replicas_are_found_by_id_and_by_api() -> None:
    index = ReplicaIndex[int]()
    index.add("iris", "iris-1-a", 1)
    index.add("iris", "iris-1-b", 2)
    index.add("wine", "wine-1-a", 3)
    assert (list(index), len(index)) == ([1, 2, 3], 3)
    assert index.of("iris") == {"iris-1-a": 1, "iris-1-b": 2}
    assert set(index.apis) == {"iris", "wine"}
    assert (index["wine-1-a"], index.get("wine-1-a"), index.get("flat-1-a")) == (3, 3, None)
    assert "iris-1-a" in index


def test_an_api_is_gone_with_its_last_replica() -> None:
    index = ReplicaIndex[int]()
    index.add("iris", "iris-1-a", 1)
    index.add("iris", "iris-1-b", 2)
    index.remove("iris-1-a")
    assert index.of("iris") == {"iris-1-b": 2}
    index.remove("iris-1-b")
    assert (index.of("iris"), list(index.apis), len(index)) == ({}, [], 0)
    with pytest.raises(KeyError):
        index.remove("iris-1-b")
