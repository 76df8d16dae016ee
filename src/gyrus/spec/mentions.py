"""The texts of a specification that may name files of the project."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from gyrus.spec.api import ApiSpec
from gyrus.spec.document import fields_of
from gyrus.spec.faults import dotted

LONGEST = 255
"""Characters of a text that may be a path."""


def mentions(spec: ApiSpec) -> Iterator[tuple[str, str]]:
    """Yield fields with their texts, first those of the files that the specification requires."""
    document: dict[str, Any] = spec.model_dump(mode="json")
    for section in ("handler", "process"):
        fields = fields_of(document.get(section))
        for field in ("path", "requirements", "config", "command"):
            yield from _texts((section, field), fields.get(field))


def _texts(path: tuple[str | int, ...], value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if 0 < len(value) <= LONGEST and "\n" not in value:
            yield dotted(path), value
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            yield from _texts((*path, key), item)
    elif isinstance(value, list):
        for number, item in enumerate(cast("list[Any]", value)):
            yield from _texts((*path, number), item)
