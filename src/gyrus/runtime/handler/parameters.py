"""Arguments of a handler besides the payload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl

FieldValues = dict[str, str | list[str]]
"""Values by name; a name that was sent more than once has the list of its values."""


class Headers(Mapping[str, str]):
    """A request's headers. Names are looked up in any case and listed in lower case."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[bytes, bytes]) -> None:
        self._values = {name.decode("latin-1"): value.decode("latin-1") for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


def query_fields(query: str) -> FieldValues:
    return gathered(parse_qsl(query, keep_blank_values=True, errors="replace"))


def gathered(pairs: Iterable[tuple[str, str]]) -> FieldValues:
    fields: FieldValues = {}
    for name, value in pairs:
        before = fields.get(name)
        if before is None:
            fields[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            fields[name] = [before, value]
    return fields
