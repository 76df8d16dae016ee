"""Encoding of any return value as JSON.

orjson writes what it can, which is nearly everything. A value that it refuses is written again step by step,
with integers of any size, keys of any type that has a text, and any depth. If that fails, the place is known.

::

    BadAnswer    the returned value cannot be sent; the message gives the place, the cause and the remedy
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, cast

import msgspec
import orjson

from gyrus.runtime.handler.plain_values import plain

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY
_LAX_OPTIONS = _OPTIONS | orjson.OPT_NON_STR_KEYS
"""Slower, so used only if a key is not text."""
_DATES = frozenset({datetime.datetime, datetime.date, datetime.time, uuid.UUID})
_CONTAINERS = frozenset({dict, list})
_LEAVES = _DATES | {str, float, bool, type(None)}
"""Types that have one form in JSON, and contain nothing."""
_NUMBERS = ("b", "i", "u", "f")
"""Kinds of numpy's types."""
MOST_CONVERSIONS = 20
"""Conversions of one value, until its type is one of JSON."""
DEEPEST = 10_000
"""Levels of the deepest answer. A value that makes a copy of itself at each level has no end."""

Place = tuple["Place", object] | None
"""The keys from the returned value, which is None, to a value in it; the last key comes first."""


class BadAnswer(Exception):
    pass


class NoForm(Exception):
    """A value has no form in JSON. The message continues "the value at $.a …"."""


def to_json(value: Any) -> bytes:
    """Serialize a value. Raises BadAnswer."""
    try:
        return orjson.dumps(value, plain, _OPTIONS)
    except TypeError as error:
        odd_key = "Dict key must" in str(error)
    if odd_key:
        try:
            return orjson.dumps(value, plain, _LAX_OPTIONS)
        except TypeError:
            pass
    return _write(value)


def utf8(text: str) -> bytes:
    """Encode text. Raises BadAnswer if it has a character that is not one of Unicode."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadAnswer(f"the text {_surrogate(error)}") from error


def place_of(place: Place) -> str:
    """Return the place in the notation of JSONPath: ``$.rows[3].when``."""
    keys: list[object] = []
    while place is not None:
        place, key = place
        keys.append(key)
    return "$" + "".join(map(_step, reversed(keys)))


def _step(key: object) -> str:
    if type(key) is int:
        return f"[{key}]"
    if isinstance(key, str) and key.isidentifier():
        return f".{key}"
    return f"[{key!r:.80}]"


def _write(value: Any) -> bytes:
    """Serialize a value step by step. Raises BadAnswer."""
    # A stack, not recursion: the interpreter's limit of depth must not limit an answer.
    parts: list[bytes] = []
    opened: list[tuple[Any, Iterator[tuple[Any, Place]]]] = []
    inside: set[int] = set()
    todo: tuple[Any, Place] | None = (value, None)
    while todo is not None:
        value, place = todo
        content = _at(place, _simple, value)
        if isinstance(content, bytes):
            parts.append(content)
        elif id(value) in inside or len(opened) == DEEPEST:
            raise BadAnswer(f"the value at {place_of(place)[:200]} contains itself")
        else:
            opened.append((value, _contents(content, place, parts)))
            inside.add(id(value))
        todo = None
        while opened and todo is None:
            todo = next(opened[-1][1], None)
            if todo is None:
                inside.discard(id(opened.pop()[0]))
    return b"".join(parts)


def _contents(content: Any, place: Place, parts: list[bytes]) -> Iterator[tuple[Any, Place]]:
    """Yield the values of an object or array, and write the rest of it."""
    if isinstance(content, Mapping):
        parts.append(b"{")
        for number, (key, value) in enumerate(cast("Mapping[Any, Any]", content).items()):
            parts.append((b"," if number else b"") + _at((place, key), _key, key) + b":")
            yield value, (place, key)
        parts.append(b"}")
        return
    parts.append(b"[")
    for number, value in enumerate(_at(place, iter, cast("Iterable[Any]", content))):
        if number:
            parts.append(b",")
        yield value, (place, number)
    parts.append(b"]")


def _at(place: Place, convert: Any, value: Any) -> Any:
    """Convert the value at a place. Raises BadAnswer with the place if that fails."""
    try:
        return convert(value)
    except NoForm as error:
        raise BadAnswer(f"the value at {place_of(place)} {error}") from error
    except Exception as error:  # of the user's own types
        kind = _name(value)
        message = f"is of type {kind}, which cannot be converted: {type(error).__name__}: {error}"
        raise BadAnswer(f"the value at {place_of(place)} {message}") from error


def _simple(value: Any) -> Any:
    """Return a value's JSON, or the mapping or iterable of the values in it. Raises NoForm."""
    for _ in range(MOST_CONVERSIONS):
        if type(value) in _LEAVES:
            return _leaf(value)
        if _is_numpy(value):
            return orjson.dumps(value, plain, _OPTIONS)
        if isinstance(value, enum.Enum):
            value = value.value
        elif isinstance(value, int):
            return _integer(value)
        elif isinstance(value, Decimal) and value.is_finite():
            return str(value).encode()
        elif isinstance(value, str):
            value = str(value)
        elif isinstance(value, (dict, list, tuple)) or _is_iterator(value):
            return cast("Any", value)
        else:
            value = _converted(value)
    raise NoForm(f"is of type {_name(value)}, which JSON does not have")


def _is_numpy(value: Any) -> bool:
    """Return True for numbers of numpy, and arrays of them."""
    return (
        type(value).__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in _NUMBERS
    )


def _is_iterator(value: Any) -> bool:
    return hasattr(value, "__next__") and hasattr(value, "__iter__")


def _converted(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: getattr(value, field.name) for field in fields if not field.name.startswith("_")}
    try:
        return plain(value)
    except UnicodeDecodeError as error:
        raise NoForm("is bytes that are not UTF-8; encode them as text, for example by base64") from error
    except Exception as error:
        if (fields := _fields(value)) is not None:
            return fields
        if isinstance(error, TypeError) and not error.args:
            raise NoForm(
                f"is of type {_name(value)}, which JSON does not have; use numbers, text, lists, dicts"
            ) from None
        raise


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a model or struct, one of which pydantic or msgspec cannot write."""
    if isinstance(value, msgspec.Struct):
        return {field.encode_name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(by_alias=True)
    return None


def _leaf(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as cause:
                raise NoForm(_surrogate(cause)) from error
        raise


def _integer(value: int) -> bytes:
    try:
        return str(int(value)).encode()
    except ValueError as error:
        raise NoForm("is an integer of more than 4300 digits; send it as text") from error


def _key(key: Any) -> bytes:
    """Return a key as JSON text. Raises NoForm."""
    for _ in range(MOST_CONVERSIONS):
        if type(key) is str or type(key) in _DATES:
            return _leaf(key)
        if type(key) in _CONTAINERS or isinstance(key, tuple):
            break
        if _is_numpy(key):
            return b'"%b"' % orjson.dumps(key, plain, _OPTIONS)
        if isinstance(key, enum.Enum):
            key = key.value
        elif isinstance(key, (str, Decimal)):
            key = str(key)
        elif type(key) in _LEAVES:
            return b'"%b"' % _leaf(key)
        elif isinstance(key, int):
            return b'"%b"' % _integer(key)
        else:
            key = _converted(key)
    raise NoForm(f"has a key of type {_name(cast('Any', key))}; use text or numbers as keys")


def _surrogate(error: UnicodeEncodeError) -> str:
    found = error.object[error.start]
    return (
        f"has {found!r} at character {error.start}, half of a surrogate pair, which UTF-8 cannot encode; "
        "correct it where it is made, or replace it: text.encode('utf-8', 'replace').decode()"
    )


def _name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
