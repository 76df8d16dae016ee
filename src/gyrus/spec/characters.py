"""Texts of a specification that files, logs or databases cannot hold. They are refused first of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from gyrus.contract.visible import escaped, unsuitable
from gyrus.spec.faults import Contradiction, Path

DEEPEST = 40
"""Levels of nesting."""


def unsuitable_texts(data: Any) -> Iterator[Contradiction]:
    """Yield a fault for each text or key with a control character or half a surrogate pair.

    Yields a fault also for data that is nested too deeply; what is below is not searched.
    """
    open_values: list[tuple[Path, Any]] = [((), data)]
    while open_values:
        path, value = open_values.pop()
        if isinstance(value, str):
            yield from _fault(path, value, "the text")
        elif len(path) > DEEPEST:
            message = f"is nested more than {DEEPEST} levels deep"
            yield Contradiction(path=path[:3], message=message, remedy="flatten it")
        elif isinstance(value, dict):
            for key, item in cast("dict[Any, Any]", value).items():
                name = str(key)
                yield from _fault((*path, name), name, "the key", at_key=True)
                open_values.append(((*path, name), item))
        elif isinstance(value, list):
            items = cast("list[Any]", value)
            open_values.extend(((*path, index), item) for index, item in enumerate(items))


def _fault(path: Path, text: str, what: str, *, at_key: bool = False) -> Iterator[Contradiction]:
    if found := unsuitable(text):
        kind = "half a surrogate pair" if "\ud800" <= found <= "\udfff" else "a control character"
        message = f"{what} has {kind}, {escaped(found)}"
        yield Contradiction(path=path, message=message, remedy="remove it", at_key=at_key)
