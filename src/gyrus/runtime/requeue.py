"""What a replica is asked to give back (``REQUEUE_PATH``)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol, cast

from gyrus.contract.problem import BAD_REQUEST
from gyrus.runtime.server.problems import Refused


class GiveBack(Protocol):
    def __call__(self, at_most: int | None, *, first: int, spare: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Requeue:
    at_most: int
    first: int = 0
    spare: int = 0

    @classmethod
    def read(cls, body: bytes) -> Requeue:
        """Raises Refused."""
        try:
            told = json.loads(body)
            if isinstance(told, dict):
                asked = cast("dict[str, Any]", told)
                numbers = (asked["at_most"], asked.get("first", 0), asked.get("spare", 0))
                if all(type(number) is int and number >= 0 for number in numbers):
                    return cls(*numbers)
        except (ValueError, KeyError):
            pass
        raise Refused(BAD_REQUEST, 'The body must be {"at_most": n}, with n of 0 or more.')

    def carry_out(self, give_back: GiveBack) -> int:
        """How many will go."""
        return give_back(self.at_most, first=self.first, spare=self.spare)
