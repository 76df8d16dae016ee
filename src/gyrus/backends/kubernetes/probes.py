"""The kubelet's words about a failed probe, in plain words. Pure."""

from __future__ import annotations

import re

_PROBE = re.compile(r"(?P<kind>Readiness|Liveness|Startup) probe (?:failed|errored):(?P<detail>.*)")
_CHECKS = {
    "Readiness": "its readiness check fails",
    "Liveness": "its liveness check fails",
    "Startup": "its readiness check fails",  # it is the same check, made before the first success
}
_CODE = re.compile(r"HTTP probe failed with statuscode: (?P<code>\d+)")
_ADDRESS = re.compile(r"(?:https?://|dial tcp )(?:\[[^]]*\]|[^\s\":/]+):(?P<port>\d+)")
_CAUSES = (
    (r"connection refused", "nothing accepts connections"),
    (r"deadline exceeded|Client\.Timeout|i/o timeout|command timed out", "no answer in time"),
    (r"connection reset|EOF", "the connection ends without an answer"),
    (r"no route to host|network is unreachable", "the pod cannot be reached"),
)


def probe_words(message: str) -> str:
    """Return which check fails, and why.

    >>> probe_words("Readiness probe failed: HTTP probe failed with statuscode: 503")
    'its readiness check fails: it answers with code 503'
    """
    text = " ".join(message.split()).rstrip(".")
    found = _PROBE.fullmatch(text)
    if found is None:
        return text
    check, detail = _CHECKS[found["kind"]], found["detail"].strip()
    if code := _CODE.search(detail):
        return f"{check}: it answers with code {code['code']}"
    address = _ADDRESS.search(detail)
    where = f" on port {address['port']}" if address else ""
    for pattern, cause in _CAUSES:
        if re.search(pattern, detail):
            return f"{check}: {cause}{where}"
    return f"{check}: {detail}" if detail else check


def is_refusal(message: str, ports: frozenset[int]) -> bool:
    """Return True if nothing listens yet on one of these ports: every start begins so."""
    address = _ADDRESS.search(message)
    return "connection refused" in message and address is not None and int(address["port"]) in ports
