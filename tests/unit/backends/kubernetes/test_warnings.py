"""The latest warning of each reason about a pod."""

from __future__ import annotations

from gyrus.backends.kubernetes.warnings import PodWarnings
from gyrus.kubernetes.resources import Manifest

PULL = 'Failed to pull image "a:1": not found'


def event(name: str, message: str, second: int, reason: str = "Failed", count: int = 1) -> Manifest:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "name": "iris-1-a", "uid": "u"},
        "reason": reason,
        "message": message,
        "count": count,
        "lastTimestamp": f"2026-01-01T00:00:{second:02}Z",
    }


def test_the_latest_one_of_a_reason_counts() -> None:
    warnings = PodWarnings()
    assert warnings.take("a", event("a", "first", 1)) == "iris-1-a"
    warnings.take("c", event("c", "third", 3))
    warnings.take("b", event("b", "second", 2))
    assert warnings.of("u")["Failed"].message == "third"
    assert warnings.of("other") == {}


def test_an_event_without_a_cause_does_not_replace_the_one_with_it() -> None:
    warnings = PodWarnings()
    warnings.take("a", event("a", PULL, 1, count=2))
    for message in ("Error: ErrImagePull", "Error: ImagePullBackOff"):
        assert warnings.take("b", event("b", message, 9)) is None
    assert warnings.of("u")["Failed"].message == PULL


def test_warnings_end_with_their_events() -> None:
    warnings = PodWarnings()
    warnings.take("a", event("a", "first", 1))
    warnings.take("b", event("b", "mount", 1, reason="FailedMount"))
    assert warnings.take("a", None) is None
    assert set(warnings.of("u")) == {"Failed", "FailedMount"}
    warnings.take("b", None)
    assert warnings.of("u") == {}
