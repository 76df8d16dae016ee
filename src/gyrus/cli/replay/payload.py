"""The body of each request: one text, with placeholders that the trace fills."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

SERVICE_TIME = "service_time"
"""The placeholder for a request's service time, in seconds."""

_PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
_IN_NUMBERS = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


class BadPayload(ValueError):
    pass


@dataclass(frozen=True, slots=True)
class Template:
    """JSON with the placeholders ``{service_time}`` and ``{COLUMN}``, as values or as parts of texts.

    >>> Template.parse('{"n": {Tokens}, "id": "no {Tokens}"}', ["Tokens"]).filled({"Tokens": "7"})
    b'{"n": 7, "id": "no 7"}'
    """

    pieces: tuple[str, ...]
    """Texts and names alternately, beginning and ending with a text."""

    @classmethod
    def parse(cls, text: str, columns: list[str]) -> Self:
        """Parse a template. Raises BadPayload if a placeholder has no column, or if the rest is not JSON."""
        template = cls(tuple(_PLACE.split(text)))
        for name in template.names:
            if name != SERVICE_TIME and name not in columns:
                known = ", ".join([SERVICE_TIME, *columns])
                raise BadPayload(f"the trace has no column {name}; it has: {known}")
        try:
            json.loads(template.filled(dict.fromkeys(template.names, "1")))
        except ValueError as fault:
            raise BadPayload(f"it is not JSON: {fault}") from fault
        return template

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.pieces[1::2])

    def filled(self, values: Mapping[str, str]) -> bytes:
        """Return the body with these values.

        A value that is no number is escaped for the quotes around it.
        """
        if len(self.pieces) == 1:
            return self.pieces[0].encode()
        parts = list(self.pieces)
        parts[1::2] = [_inserted(values[name]) for name in parts[1::2]]
        return "".join(parts).encode()


def _inserted(value: str) -> str:
    return value if _IN_NUMBERS.fullmatch(value) else json.dumps(value)[1:-1]
