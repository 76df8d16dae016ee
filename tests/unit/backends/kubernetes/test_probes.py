"""The kubelet's words about a failed probe, in plain words."""

from __future__ import annotations

import pytest

from gyrus.backends.kubernetes.probes import is_refusal, probe_words

REFUSED = (
    'Readiness probe failed: Get "http://10.244.1.46:9000/ready": dial tcp 10.244.1.46:9000: connect: '
    "connection refused"
)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (REFUSED, "its readiness check fails: nothing accepts connections on port 9000"),
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "its readiness check fails: it answers with code 503",
        ),
        (
            'Liveness probe failed: Get "http://[fd00::1]:9000/": context deadline exceeded (Client.Timeout '
            "exceeded while awaiting headers)",
            "its liveness check fails: no answer in time on port 9000",
        ),
        (
            "Readiness probe failed: dial tcp 10.244.1.46:9000: i/o timeout",
            "its readiness check fails: no answer in time on port 9000",
        ),
        (
            'Startup probe failed: Get "http://10.1.1.1:80/": EOF',
            "its readiness check fails: the connection ends without an answer on port 80",
        ),
        (
            "Readiness probe failed: cat: /tmp/ready: No such file or directory\n",
            "its readiness check fails: cat: /tmp/ready: No such file or directory",
        ),
        ("Readiness probe failed: ", "its readiness check fails"),
        ("something else.", "something else"),
    ],
)
def test_each_failure_has_its_words(message: str, words: str) -> None:
    assert probe_words(message) == words


def test_a_port_on_which_nothing_listens_yet() -> None:
    assert is_refusal(REFUSED, frozenset({9000}))
    assert not is_refusal(REFUSED, frozenset({18003}))
    assert not is_refusal("Readiness probe failed: HTTP probe failed with statuscode: 503", frozenset({9000}))
