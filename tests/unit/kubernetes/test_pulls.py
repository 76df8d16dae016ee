"""The reason why an image cannot be pulled."""

from __future__ import annotations

import pytest

from gyrus.kubernetes.pulls import is_final, pull_cause, pull_remedy

SECRET = (
    "reate a Secret with credentials (kubectl create secret docker-registry), and name it with "
    "images.pull_secrets in the values file of gyrus cluster install"
)
REACH = "Check that the nodes reach the registry, or name another image with images.gyrus"
PUSH = "Push the image, or name another one with images.gyrus"


@pytest.mark.parametrize(
    ("message", "cause", "remedy"),
    [
        ("manifest for a:1 not found: manifest unknown", "it was not found", PUSH),
        ("failed to authorize: 401 Unauthorized", "its registry demands credentials", f"C{SECRET}"),
        (
            "pull access denied, repository does not exist or may require authorization",
            "it does not exist, or its registry demands credentials",
            f"{PUSH}, or c{SECRET}",
        ),
        (
            "no match for platform in manifest: not found",
            "it has no variant for the node's processor",
            PUSH,
        ),
        ("dial tcp: lookup r on 10.96.0.10:53: no such host", "its registry's name is unknown", REACH),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "its registry does not answer", REACH),
        ("x509: certificate signed by unknown authority", "its registry's certificate is not trusted", ""),
        (
            "toomanyrequests: pull rate limit",
            "its registry limits the number of pulls",
            "",
        ),
        ("write /var/lib/x: no space left on device", "the node's disk is full", ""),
        ('Back-off pulling image "a"', "", ""),
        ('failed to resolve reference "a": boom.', "boom", ""),
    ],
)
def test_cause_and_remedy(message: str, cause: str, remedy: str) -> None:
    assert pull_cause(message) == cause
    assert pull_remedy(cause, "images.gyrus") == remedy
    assert is_final(cause) == (remedy not in ("", REACH))
