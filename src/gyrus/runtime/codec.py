"""The contract's dataclasses as JSON, with the standard library only, so that the supervisor starts quickly.

Reader and writer may be of different versions of gyrus. So reading ignores unknown fields and uses the
default of absent ones. It is strict about everything else.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
FieldReader = Callable[[Any, str], Any]
"""Function that converts a JSON value; its second argument is the value's place, for messages."""


class CodecError(ValueError):
    """The data does not have the expected form. The message names the field."""


def encode(value: Any) -> bytes:
    """Encode a dataclass as compact JSON. Fields that have their default are left out."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")).encode()


def decode(kind: type[T], data: bytes | str) -> T:
    """Decode a dataclass. Raises CodecError."""
    try:
        value = json.loads(data)
    except ValueError as error:
        raise CodecError(f"{kind.__name__} is not JSON: {error}") from error
    return _reader(kind)(value, kind.__name__)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(v) for f in fields(value) if (v := getattr(value, f.name)) != _default(f)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _default(field: Any) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


@cache
def _reader(kind: Any) -> FieldReader:
    """Return the reader of one type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value, where: value
    if origin in (Union, types.UnionType):
        return _optional(arguments)
    if origin is tuple:
        return _tuple(_reader(arguments[0]))
    if origin is dict:
        return _dict(_reader(arguments[1]))
    if is_dataclass(kind):
        return _dataclass(cast("type[Any]", kind))
    if issubclass(kind, Enum):
        return _enum(kind)
    return _scalar(kind)


def _optional(arguments: tuple[Any, ...]) -> FieldReader:
    (some,) = (_reader(argument) for argument in arguments if argument is not types.NoneType)
    return lambda value, where: None if value is None else some(value, where)


def _tuple(item: FieldReader) -> FieldReader:
    def read(value: Any, where: str) -> tuple[Any, ...]:
        entries = cast("list[Any]", _expect(list, value, where))
        return tuple(item(entry, f"{where}[{n}]") for n, entry in enumerate(entries))

    return read


def _dict(item: FieldReader) -> FieldReader:
    def read(value: Any, where: str) -> dict[str, Any]:
        entries = cast("dict[str, Any]", _expect(dict, value, where))
        return {key: item(entry, f"{where}.{key}") for key, entry in entries.items()}

    return read


def _dataclass(kind: type[Any]) -> FieldReader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}

    def read(value: Any, where: str) -> Any:
        entries = cast("dict[str, Any]", _expect(dict, value, where))
        known = {
            name: readers[name](entry, f"{where}.{name}")
            for name, entry in entries.items()
            if name in readers
        }
        try:
            return kind(**known)
        except TypeError as error:
            raise CodecError(f"{where}: {error}") from error

    return read


def _enum(kind: type[Enum]) -> FieldReader:
    def read(value: Any, where: str) -> Enum:
        try:
            return kind(value)
        except ValueError as error:
            raise CodecError(f"{where}: {error}") from error

    return read


def _scalar(kind: type[Any]) -> FieldReader:
    if kind is float:
        return lambda value, where: float(_expect((int, float), value, where))
    return lambda value, where: _expect(kind, value, where)


def _expect(kind: type[Any] | tuple[type[Any], ...], value: Any, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise CodecError(f"{where} is {value!r:.80}, not {kind}")
    return value
