"""Private calls are known by a proof, or by their mark where only the platform reaches the replica."""

from __future__ import annotations

import pytest

from gyrus.runtime.private_calls import WITHOUT_PROOF, PrivateCalls

PROVEN = PrivateCalls(b"aaaa")


@pytest.mark.parametrize(
    ("rule", "headers", "accepted"),
    [
        (WITHOUT_PROOF, {}, False),
        (WITHOUT_PROOF, {b"x-gyrus-internal": b"1"}, True),
        (WITHOUT_PROOF, {b"x-gyrus-internal": b"2"}, False),
        (PROVEN, {}, False),
        (PROVEN, {b"x-gyrus-internal": b"1"}, False),
        (PROVEN, {b"x-gyrus-proof": b""}, False),
        (PROVEN, {b"x-gyrus-proof": b"aaa"}, False),
        (PROVEN, {b"x-gyrus-proof": b"aaab"}, False),
        (PROVEN, {b"x-gyrus-proof": b"aaaa"}, True),
        (PROVEN, {b"x-gyrus-proof": b"aaaa", b"x-gyrus-internal": b"1"}, True),
    ],
)
def test_calls(rule: PrivateCalls, headers: dict[bytes, bytes], accepted: bool) -> None:
    assert rule.accepts(headers.get) is accepted
