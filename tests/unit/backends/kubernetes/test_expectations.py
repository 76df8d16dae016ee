"""A backend reads its own writes, and never an older state after a newer one."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gyrus.backends.kubernetes.expectations import newest
from gyrus.kubernetes.resources import Manifest


def manifest(version: int, *, deleted: bool = False) -> Manifest:
    metadata: dict[str, str] = {"name": "a", "resourceVersion": str(version)}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata}


@dataclass(slots=True)
class Cluster:
    """One pod's states by version; a cache lags behind."""

    states: list[Manifest | None] = field(default_factory=lambda: [None])

    def write(self, *, deleted: bool = False) -> Manifest:
        made = manifest(len(self.states), deleted=deleted)
        self.states.append(made)
        return made

    def end(self) -> None:
        self.states.append(None)


ACTS = st.lists(st.sampled_from(["write", "change", "delete", "end", "lag", "catch up"]))


@given(ACTS, st.integers(0, 3))
def test_no_state_before_the_own_write_is_shown(acts: list[str], step: int) -> None:
    cluster, own, own_version, cached = Cluster(), None, 0, 0
    shown = 0
    for act in acts:
        match act:
            case "write" if cluster.states[-1] is None:
                own = cluster.write()
                own_version = len(cluster.states) - 1
            case "delete" if cluster.states[-1] is not None:
                own = cluster.write(deleted=True)
                own_version = len(cluster.states) - 1
            case "change" if cluster.states[-1] is not None:
                cluster.write()
            case "end":
                cluster.end()
            case "lag":
                cached = min(len(cluster.states) - 1, cached + step)
            case _:
                cached = len(cluster.states) - 1
        merged = newest(own, cluster.states[cached], str(cached))
        expected = max(own_version, cached)
        assert merged == cluster.states[expected]
        assert expected >= shown
        shown = expected


def test_without_an_own_write_the_cache_counts() -> None:
    assert newest(None, manifest(3), "3") == manifest(3)
    assert newest(None, None, "") is None


def test_before_the_first_list_the_own_write_counts() -> None:
    assert newest(manifest(3), None, "") == manifest(3)
