"""Lines of pods, as the cluster gives them."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.backends.kubernetes.log_output import nanoseconds, parse
from gyrus.backends.kubernetes.pod import Pod
from gyrus.contract.operator import LogLine

REPLICA = "iris-1-aaaaa"
TIME = "2026-11-28T08:00:00.123456789Z"
AT = 1795852800_123456789


def pod(*containers: str, supervised: bool = False) -> Pod:
    ports: list[Any] = [{"name": "status", "containerPort": 18003}] if supervised else []
    spec = {"containers": [{"name": name, "ports": ports} for name in containers]}
    return Pod({"kind": "Pod", "metadata": {"name": REPLICA}, "spec": spec})


def parsed(pod: Pod, text: str, container: int = 0) -> LogLine | None:
    found = parse(pod, pod.containers[container], text, 2)
    return found.line if found else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TIME, AT),
        ("2026-11-28T08:00:00.1Z", 1795852800_100000000),
        ("2026-11-28T08:00:00Z", 1795852800_000000000),
        ("2026-11-28T10:00:00.000000001+02:00", 1795852800_000000001),
    ],
)
def test_times_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize("text", ["", "failed", "2026-11-28", "2026-11-28T08:00:00.Z", "unable to retrieve"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|Invalid isoformat"):
        nanoseconds(text)


def test_the_line_of_a_supervisor_is_read() -> None:
    text = f'{TIME} {{"time": 1.5, "replica": "other", "message": "hello", "process": 1}}'
    expected = LogLine(time=1.5, replica=REPLICA, message="hello", process=1)
    assert parsed(pod("replica", supervised=True), text) == expected


def test_a_line_of_text_has_the_time_of_its_node() -> None:
    expected = LogLine(time=AT / 1e9, replica=REPLICA, message='{"a": 1}', run=2)
    assert parsed(pod("server"), f'{TIME} {{"a": 1}}') == expected


def test_a_line_names_its_container_if_there_are_several() -> None:
    line = parsed(pod("server", "cache", "sidecar"), f"{TIME} hello", 1)
    assert line == LogLine(time=AT / 1e9, replica=REPLICA, message="[cache] hello", run=2, process=1)


def test_a_message_of_the_node_is_left_out() -> None:
    assert parsed(pod("server"), "unable to retrieve container logs for containerd://0") is None
