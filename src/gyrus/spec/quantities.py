"""Durations, memory, cores and shares as the YAML writes them.

An invalid value raises ValueError. Its text continues a sentence that begins with the value: ``is not a
duration; write for example 10s``.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

T = TypeVar("T")

_DURATION = re.compile(r"(\d{1,12}(?:\.\d{1,12})?)(ms|s|m|h)", re.ASCII)
_UNIT_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_MEMORY = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(k|[MGTPE]i?|Ki|e\d{1,2})?", re.ASCII)
_UNIT_BYTES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18} | {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60,
}  # fmt: skip
_CORES = re.compile(r"(\d{1,9})m|(\d{1,6}(?:\.\d{1,9})?)", re.ASCII)
_SHARE = re.compile(r"(100|\d{1,2})%", re.ASCII)

LEAST_MEMORY = 2**20
LARGEST_BODY = 16 * 2**30
MOST_MEMORY = 2**50
MOST_CORES = 1024


def parse_duration(value: Any) -> timedelta:
    """Parse ``500ms``, ``10s``, ``5m``, ``1h`` or a sequence (``1m30s``) into whole milliseconds."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = max(1, math.ceil(value)) if math.isfinite(value) else 10
        raise ValueError(f"has no unit; write for example {seconds}s")
    parts = _DURATION.findall(value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("is not a duration; write for example 500ms, 10s, 5m or 1h")
    milliseconds = sum(Decimal(number) * _UNIT_MILLISECONDS[unit] for number, unit in parts)
    if milliseconds != int(milliseconds):
        raise ValueError("is finer than a millisecond; write whole milliseconds")
    try:
        return timedelta(milliseconds=int(milliseconds))
    except OverflowError as error:
        raise ValueError("is too long; write for example 24h") from error


AUTO: Literal["auto"] = "auto"
"""The duration that gyrus chooses."""


def parse_auto_duration(value: Any) -> timedelta | Literal["auto"]:
    """Parse a duration or ``auto``."""
    if value == AUTO:
        return AUTO
    if isinstance(value, str) and not _DURATION.match(value):
        raise ValueError("is neither a duration nor auto; write for example auto or 5ms")
    return parse_duration(value)


def format_auto_duration(value: timedelta | Literal["auto"]) -> str:
    return format_duration(value) if isinstance(value, timedelta) else value


def format_duration(value: timedelta) -> str:
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def parse_memory(value: Any) -> int:
    """Parse ``512Mi``, ``1Gi``, ``1.5G``, ``128e6`` or a plain number into bytes, as Kubernetes does."""
    size = value if isinstance(value, int) and not isinstance(value, bool) else _parse_size(value)
    if not LEAST_MEMORY <= size <= MOST_MEMORY:
        raise ValueError("is out of range: 1Mi to 1Pi; write for example 512Mi or 1Gi")
    return size


def parse_body_size(value: Any) -> int:
    """Parse the size of a request's body, written as memory is."""
    size = value if isinstance(value, int) and not isinstance(value, bool) else _parse_size(value)
    if not 1 <= size <= LARGEST_BODY:
        raise ValueError("is out of range: 1 byte to 16Gi; write for example 32Mi")
    return size


def format_memory(size: int) -> str | int:
    """Format bytes with the largest unit that divides them. Returns the number if none does.

    >>> format_memory(512 * 2**20), format_memory(1500)
    ('512Mi', 1500)
    """
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size % _UNIT_BYTES[unit] == 0:
            return f"{size // _UNIT_BYTES[unit]}{unit}"
    return size


def display_memory(size: int) -> str:
    """Format bytes for display, rounded down to a tenth of the unit.

    >>> display_memory(25_275_000_000), display_memory(512 * 2**20), display_memory(1500)
    ('23.5Gi', '512Mi', '1.4Ki')
    """
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        if size >= _UNIT_BYTES[unit]:
            return f"{size * 10 // _UNIT_BYTES[unit] / 10:g}{unit}"
    return str(size)


def display_cores(thousandths: int) -> str:
    """Format thousandths of a core for display.

    >>> display_cores(200), display_cores(1800), display_cores(64_000), display_cores(0)
    ('200m', '1.8', '64', '0')
    """
    return f"{thousandths}m" if 0 < thousandths < 1000 else f"{thousandths / 1000:.10g}"


def _parse_size(value: Any) -> int:
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("is not an amount of memory; write for example 512Mi or 1Gi")
    unit = match[2] or ""
    return math.ceil(Decimal(match[1]) * (_UNIT_BYTES[unit] if unit in _UNIT_BYTES else 10 ** int(unit[1:])))


def parse_cores(value: Any) -> float:
    """Parse ``200m``, ``1`` or ``0.5`` into cores, as Kubernetes does."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        cores = float(value)
    else:
        match = _CORES.fullmatch(value) if isinstance(value, str) else None
        if not match:
            raise ValueError("is not an amount of CPU; write for example 200m, 0.5 or 2")
        cores = int(match[1]) / 1000 if match[1] else float(match[2])
    if not 0 <= cores <= MOST_CORES:
        raise ValueError(f"is out of range: 0 to {MOST_CORES} cores; write for example 200m, 0.5 or 2")
    return cores


def parse_share(value: Any) -> int | str:
    """Check a count, or a share such as ``25%``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _SHARE.fullmatch(value):
        return value
    raise ValueError("is neither a count nor a share up to 100%; write for example 1 or 25%")


def share_of(value: int | str, total: int, *, up: bool) -> int:
    """Return the count that ``value`` (a count or a share) means for ``total``, rounded up or down."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


def between(least: str, most: str) -> AfterValidator:
    """Return a validator that accepts durations from ``least`` to ``most``."""
    lower, upper = parse_duration(least), parse_duration(most)

    def check(value: T) -> T:
        if isinstance(value, timedelta) and not lower <= value <= upper:
            raise ValueError(f"is out of range: {least} to {most}")
        return value

    return AfterValidator(check)


def _schema(kind: str | list[str], pattern: str, *examples: object) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "pattern": f"^{pattern}$", "examples": list(examples)})


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    _schema("string", f"({_DURATION.pattern})+", "500ms", "10s", "5m"),
]
AutoDuration = Annotated[
    timedelta | Literal["auto"],
    PlainValidator(parse_auto_duration),
    PlainSerializer(format_auto_duration, return_type=str),
    _schema("string", f"(auto|({_DURATION.pattern})+)", "auto", "5ms", "0ms"),
]
MemorySize = Annotated[
    int,
    BeforeValidator(parse_memory),
    PlainSerializer(format_memory, return_type=str | int, when_used="json"),
    _schema(["string", "integer"], _MEMORY.pattern, "512Mi", "1Gi"),
]
BodySize = Annotated[
    int,
    BeforeValidator(parse_body_size),
    PlainSerializer(format_memory, return_type=str | int, when_used="json"),
    _schema(["string", "integer"], _MEMORY.pattern, "512Ki", "32Mi"),
]
Cores = Annotated[
    float,
    BeforeValidator(parse_cores),
    _schema(["string", "number"], f"({_CORES.pattern})", "200m", 1),
]
ReplicaShare = Annotated[
    int | str,
    BeforeValidator(parse_share),
    _schema(["string", "integer"], _SHARE.pattern, "25%", 1),
]
