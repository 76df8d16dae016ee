"""The check that a private call (requeue, load, status) comes from the operator. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyrus.contract.replica import INTERNAL_HEADER, PROOF_HEADER

_INTERNAL = INTERNAL_HEADER.encode()
_PROOF = PROOF_HEADER.encode()


@dataclass(frozen=True, slots=True)
class PrivateCalls:
    """The rule by which one replica accepts private calls."""

    proof: bytes = b""
    """The value of :data:`PROOF_HEADER` to demand. Empty where only operator and gateway reach the replica:
    the mark of an internal call is enough then, since the gateway removes it from requests of clients."""

    def accepts(self, header: Callable[[bytes], bytes | None]) -> bool:
        """Return True if a call comes from the operator.

        ``header``: returns the value of a header by its name in lower case, or None.
        """
        if not self.proof:
            return header(_INTERNAL) == b"1"
        from hmac import compare_digest  # it loads OpenSSL, for which no local replica should wait

        return compare_digest(header(_PROOF) or b"", self.proof)


WITHOUT_PROOF = PrivateCalls()
