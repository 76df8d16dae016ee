"""The body of each request: one text, with places that the trace fills."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

SERVICE_TIME = "service_time"
"""The place of a request's service time, in seconds."""

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_IN_NUMBERS = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


class BadPayload(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Template:
    """JSON with ``{service_time}`` and ``{COLUMN}`` in it, wherever a value or a part of a text may stand.

    >>> Template.parse('{"n": {Tokens}, "id": "no {Tokens}"}', ["Tokens"]).filled({"Tokens": "7"})
    b'{"n": 7, "id": "no 7"}'
    """

    pieces: tuple[str, ...]
    """Texts and names in turn, beginning and ending with a text."""

    @classmethod
    def parse(cls, text: str, columns: list[str]) -> Self:
        """Raises BadPayload where a place has no column, or what is around the places is not JSON."""
        template = cls(tuple(_PLACE.split(text)))
        for name in template.names:
            if name != SERVICE_TIME and name not in columns:
                known = ", ".join([SERVICE_TIME, *columns])
                raise BadPayload(f"the trace has no column {name}; known are: {known}")
        try:
            json.loads(template.filled(dict.fromkeys(template.names, "1")))
        except ValueError as fault:
            raise BadPayload(f"it is not JSON: {fault}") from fault
        return template

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def filled(self, values: Mapping[str, str]) -> bytes:
        """A value that is not a number belongs between quotes, and is escaped for them."""
        if len(self.pieces) == 1:
            return self.pieces[0].encode()
        parts = list(self.pieces)
        parts[1::2] = [_inserted(values[name]) for name in parts[1::2]]
        return "".join(parts).encode()


def _inserted(value: str) -> str:
    return value if _IN_NUMBERS.fullmatch(value) else json.dumps(value)[1:-1]
