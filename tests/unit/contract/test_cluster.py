from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.cluster import CALLS, replica_proof, replica_secret

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,30}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES, NAMES)
def test_a_proof_opens_one_replica_for_one_purpose(one: str, other: str, pod: str) -> None:
    proof = replica_proof("secret", CALLS, one)
    assert proof == replica_proof("secret", CALLS, one)
    assert proof != replica_proof("another", CALLS, one)
    assert proof != replica_proof("secret", "another", one)
    assert (proof == replica_proof("secret", CALLS, other)) is (one == other)
    assert proof != replica_secret("secret", pod)
