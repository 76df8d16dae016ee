"""Durations, memory, cores and shares as the YAML writes them."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_MEMORY = re.compile(r"(\d+(?:\.\d+)?)(k|M|G|T|Ki|Mi|Gi|Ti)?")
_UNIT_BYTES = {None: 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_CORES = re.compile(r"(\d+)m|(\d+(?:\.\d+)?)")


def parse_duration(value: Any) -> timedelta:
    """``500ms``, ``10s``, ``5m``, ``1h``; several may follow each other (``1m30s``)."""
    if isinstance(value, timedelta):
        return value
    parts = _DURATION.findall(value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("is not a duration; write for example 500ms, 10s, 5m or 1h")
    return timedelta(seconds=sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def format_duration(value: timedelta) -> str:
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def parse_memory(value: Any) -> int:
    """Bytes of ``512Mi``, ``1Gi``, ``1.5G`` or a plain number, as in Kubernetes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("is not an amount of memory; write for example 512Mi or 1Gi")
    return math.ceil(float(match[1]) * _UNIT_BYTES[match[2]])


def parse_cores(value: Any) -> float:
    """Cores of ``200m``, ``1`` or ``0.5``, as in Kubernetes."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _CORES.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("is not an amount of CPU; write for example 200m, 0.5 or 2")
    return int(match[1]) / 1000 if match[1] else float(match[2])


def parse_share(value: Any) -> int | str:
    """A count, or a share such as ``25%``."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(r"(100|\d{1,2})%", value):
        return value
    raise ValueError("is neither a count nor a share; write for example 1 or 25%")


def share_of(value: int | str, total: int, *, up: bool) -> int:
    """The count that ``value`` (a count or a share) means for ``total``, rounded up or down."""
    if isinstance(value, int):
        return value
    exact = int(value.removesuffix("%")) * total / 100
    return math.ceil(exact) if up else math.floor(exact)


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h))+$", "examples": ["500ms", "10s"]}
    ),
]
Memory = Annotated[
    int,
    BeforeValidator(parse_memory),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["512Mi", "1Gi"]}),
]
Cores = Annotated[
    float,
    BeforeValidator(parse_cores),
    WithJsonSchema({"type": ["string", "number"], "examples": ["200m", 1]}),
]
Share = Annotated[
    int | str,
    BeforeValidator(parse_share),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["25%", 1]}),
]
