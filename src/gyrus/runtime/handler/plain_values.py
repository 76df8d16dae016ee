"""Conversion of values that JSON does not know into values that it knows, by the rules of FastAPI.

=======================================  ===========================================================
Value                                    JSON
=======================================  ===========================================================
pydantic models, of version 1 too        an object, with aliases
msgspec structs, attrs classes           an object
other mappings; sets, deques, views      an object; an array
named tuples, and other tuples           an array
arrays, tensors, series, indices         an array
data frames                              an array of objects, one for each row, without the index
``Decimal``                              a number with the same digits
``timedelta``, also numpy's, pandas'     seconds
date and time types, also pandas'        text, as of ``isoformat()``
bytes                                    text, if they are UTF-8
paths, IP addresses, URLs, patterns      text; pydantic's secrets are masked
NaN, infinity, NaT, NA                   null
=======================================  ===========================================================
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import re
import sys
from collections import deque
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import msgspec
import orjson

if TYPE_CHECKING:
    from typing_extensions import Buffer

_MISSING = frozenset({"NaTType", "NAType"})
"""The types of pandas for a missing value."""
_DATES = (datetime.date, datetime.time)
_SHOWN_AS_TEXT = (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface,
                  ipaddress.IPv6Interface, ipaddress.IPv4Network, ipaddress.IPv6Network)  # fmt: skip
_PYDANTIC = frozenset({"pydantic", "pydantic_core", "pydantic_extra_types"})
LONGEST_FLOAT = 8
"""Bytes of the longest float that Python has."""
_ARRAYS = ("tolist", "to_list", "to_dicts", "to_pylist")
"""Methods that return built-in values: of numpy, torch, pandas and JAX; of polars; of pyarrow."""
_KEPT_BY_MSGSPEC = (bytes, bytearray, Decimal, datetime.timedelta)


def is_bytes(value: object) -> TypeGuard[Buffer]:
    return isinstance(value, (bytes, bytearray, memoryview))


def plain(value: Any) -> Any:
    """Convert the value itself, but not the values in it. Raises TypeError if JSON has no form for it.

    It consumes no iterators, so it can be called again for the same value.
    """
    if isinstance(value, type):
        raise TypeError
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if is_bytes(value):
        return bytes(value).decode()
    if hasattr(value, "dtype"):
        return _of_array(value)
    if isinstance(value, (tuple, set, frozenset, deque)):
        return list(cast("Collection[Any]", value))
    return _of_scalar(value)


def _of_scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value)) if value.is_finite() else None
    if isinstance(value, datetime.timedelta):
        return None if value != value else value.total_seconds()
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, _DATES):
        return value.isoformat()
    if isinstance(value, float):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(cast("os.PathLike[str]", value))
    if isinstance(value, _SHOWN_AS_TEXT) or _is_text_of_pydantic(value):
        return str(value)
    if isinstance(value, re.Pattern):
        return cast("re.Pattern[Any]", value).pattern
    return _of_object(value)


def _of_object(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return msgspec.to_builtins(value, builtin_types=_KEPT_BY_MSGSPEC, enc_hook=plain)
    if hasattr(value, "__fields_set__") and hasattr(value, "json"):  # a model of pydantic 1
        return json.loads(value.json(by_alias=True))
    for name in _ARRAYS:
        if hasattr(value, name):
            return getattr(value, name)()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame of pandas
        return value.to_dict(orient="records")
    if isinstance(value, Mapping):
        return dict(cast("Mapping[Any, Any]", value))
    if hasattr(value, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name) for field in value.__attrs_attrs__}
    if isinstance(value, Collection):
        return list(cast("Collection[Any]", value))
    raise TypeError


def _of_array(value: Any) -> Any:
    """Convert an array, a tensor, a series, or a scalar of numpy."""
    kind = getattr(value.dtype, "kind", None)
    if kind == "m":  # tolist() would make an integer of a difference in nanoseconds
        return value / sys.modules["numpy"].timedelta64(1, "s")
    if kind == "M" and type(value).__module__ == "numpy":  # the same of a date; None of NaT
        return value.astype("datetime64[us]").astype(object)
    if kind == "f" and value.dtype.itemsize > LONGEST_FLOAT:
        return value.astype("float64")
    if not hasattr(value, "tolist"):
        return value.numpy() if hasattr(value, "numpy") else _of_object(value)
    found = value.tolist()
    if type(found) is type(value):
        raise TypeError
    return found


def _is_text_of_pydantic(value: object) -> bool:
    """Return True for a URL, a secret, a colour, an e-mail address."""
    kind = type(value)
    return kind.__module__.partition(".")[0] in _PYDANTIC and not hasattr(value, "__fields_set__")
