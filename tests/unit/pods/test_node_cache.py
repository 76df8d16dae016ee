"""The environments of a node: shared, complete, and not more than the limit."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.pods import use_lock
from gyrus.pods.node_cache import START, Cached, Entry, EnvironmentsOfNode, to_remove

NOW = 1e9
CACHED = st.builds(
    Cached, key=st.uuids().map(str), size=st.integers(0, 100), used_at=st.floats(0, NOW), in_use=st.booleans()
)


@pytest.fixture
def cache(tmp_path: Path) -> EnvironmentsOfNode:
    return EnvironmentsOfNode(tmp_path)


def add(cache: EnvironmentsOfNode, key: str, *, size: int = 4096, used_at: float = 0.0) -> None:
    with cache.changing(key) as fresh:
        for folder in ("environment", "runtimes"):
            (fresh / folder).mkdir()
        (fresh / "environment/module.py").write_bytes(b"x" * size)
        cache.add(key, fresh / "environment", fresh / "runtimes", "d1")
    os.utime(use_lock(str(cache.folder), key), (used_at, used_at))


@contextmanager
def used(cache: EnvironmentsOfNode, key: str) -> Generator[None]:
    """A replica runs with the environment."""
    with Path(use_lock(str(cache.folder), key)).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def test_an_environment_is_there_once_it_is_complete(cache: EnvironmentsOfNode) -> None:
    with cache.changing("a") as fresh:
        (fresh / "environment").mkdir()
    assert cache.entry("a") is None
    assert not (cache.folder / "a.new").exists()
    add(cache, "a")
    assert cache.entry("a") == Entry("d1", 4096)
    assert (cache.environment("a") / "module.py").is_file()


@pytest.mark.parametrize("damage", ["a", "a.runtimes", "a.json"])
def test_an_environment_without_one_of_its_parts_is_not_there(cache: EnvironmentsOfNode, damage: str) -> None:
    add(cache, "a")
    (cache.folder / damage).rename(cache.folder / "elsewhere")
    assert cache.entry("a") is None


def test_what_a_replica_uses_is_not_removed(cache: EnvironmentsOfNode) -> None:
    add(cache, "a")
    with used(cache, "a"), used(cache, "a"):
        assert cache.shrink(0) == []
        with cache.changing("a"):
            assert not cache.discard("a")
        assert cache.entry("a")
    os.utime(use_lock(str(cache.folder), "a"), (0, 0))  # the change counts as a use
    assert cache.shrink(0) == ["a"]
    assert not cache.environment("a").exists()


def test_what_a_replica_is_starting_with_is_not_removed(cache: EnvironmentsOfNode) -> None:
    add(cache, "a")
    with cache.changing("a"):
        pass
    assert cache.shrink(0) == []


def test_the_longest_unused_are_removed_first(cache: EnvironmentsOfNode) -> None:
    for key, used_at in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
        add(cache, key, used_at=used_at)
    assert cache.shrink(2 * 4096) == ["b"]
    assert cache.shrink(2 * 4096) == []
    assert cache.shrink(0) == ["a", "c"]


@given(st.lists(CACHED, unique_by=lambda each: each.key), st.integers(0, 1000))
def test_only_as_much_as_needed_is_removed(cached: list[Cached], limit: int) -> None:
    removed = to_remove(cached, limit, NOW)
    by_key = {each.key: each for each in cached}
    free = {each.key for each in cached if not each.in_use and NOW - each.used_at >= START}
    assert set(removed) <= free
    left = sum(each.size for each in cached) - sum(by_key[key].size for key in removed)
    assert left <= limit or set(removed) == free
    if removed:
        assert left + by_key[removed[-1]].size > limit
