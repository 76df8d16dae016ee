"""The reason why an image cannot be pulled, in plain words. Pure."""

from __future__ import annotations

import re

_STEP = re.compile(r'^(?:failed to (?:pull and unpack image|resolve reference) "[^"]*": )+')
"""The words that containerd puts before the cause."""
_ABSENT = "it was not found"
_PRIVATE = "its registry demands credentials"
_ABSENT_OR_PRIVATE = "it does not exist, or its registry demands credentials"
_NO_REGISTRY = "its registry's name is unknown"
_SILENT_REGISTRY = "its registry does not answer"
_OTHER_PROCESSOR = "it has no variant for the node's processor"
_CAUSES = (
    (r"may require|insufficient_scope", _ABSENT_OR_PRIVATE),
    (r"[Uu]nauthorized|denied|authentication|no basic auth|403 Forbidden", _PRIVATE),
    (r"no match for platform", _OTHER_PROCESSOR),
    (r"not found|does not exist|manifest unknown", _ABSENT),
    (r"no such host", _NO_REGISTRY),
    (r"x509|tls: ", "its registry's certificate is not trusted"),
    (r"connection refused|i/o timeout|no route to host|deadline exceeded", _SILENT_REGISTRY),
    (r"toomanyrequests|\b429\b", "its registry limits the number of pulls"),
    (r"no space left", "the node's disk is full"),
)
_FINAL = frozenset({_PRIVATE, _ABSENT, _ABSENT_OR_PRIVATE, _OTHER_PROCESSOR})
"""Causes after which another try would not help."""


def pull_cause(message: str) -> str:
    """Return the cause in a message of the kubelet or of its event. Returns "" if the message has none.

    >>> pull_cause('Failed to pull image "a": rpc error: code = NotFound desc = a: not found')
    'it was not found'
    """
    text = " ".join(message.split()).rstrip(".")
    if text.startswith("Back-off"):
        return ""
    for pattern, cause in _CAUSES:
        if re.search(pattern, text):
            return cause
    return _STEP.sub("", text.rsplit("desc = ", 1)[-1])


def is_final(cause: str) -> bool:
    """Return True if another try would not help."""
    return cause in _FINAL


def pull_remedy(cause: str, setting: str) -> str:
    """Return what to do. ``setting``: the field or the value that names the image."""
    push = f"Push the image, or name another one with {setting}"
    log_in = (
        "create a Secret with credentials (kubectl create secret docker-registry), and name it with "
        "images.pull_secrets in the values file of gyrus cluster install"
    )
    if cause in (_NO_REGISTRY, _SILENT_REGISTRY):
        return f"Check that the nodes reach the registry, or name another image with {setting}"
    if cause == _PRIVATE:
        return log_in[:1].upper() + log_in[1:]
    if cause == _ABSENT_OR_PRIVATE:
        return f"{push}, or {log_in}"
    return push if cause in _FINAL else ""
