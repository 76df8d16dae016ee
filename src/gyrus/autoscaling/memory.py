"""The knowledge of a policy, as a document that the next operator reads. Pure.

A policy's memory has two parts. What it has learned over hours and weeks stays true while no operator runs.
The recent past (windows, a burst under way) is of use only if the next operator continues at once.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

VERSION = 1
"""Version of the document. A change of its fields, or of their meaning, raises it."""
LARGEST = 2**20
"""The most bytes of a document that is read, decompressed: several times those of the largest one written."""

DAY_PARTS = 24 * 60
WEEK_PARTS = 7 * 24 * 12
"""Parts of the season's periods: a day in minutes, and a week in steps of five minutes."""

Number = Annotated[float, Field(allow_inf_nan=False)]
Quantity = Annotated[Number, Field(ge=0)]
Pair = tuple[Number, Number]


class UnreadableMemory(ValueError):
    """The document cannot be used. The message gives the reason."""


class Memory(BaseModel):
    """Base of all parts of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class CycleMemory(Memory):
    means: tuple[Quantity, ...]
    counts: tuple[Quantity, ...]
    current: int | None
    sum: Quantity
    samples: Annotated[int, Field(ge=0)]


class SeasonMemory(Memory):
    day: CycleMemory
    week: CycleMemory

    @model_validator(mode="after")
    def _require_all_parts(self) -> Self:
        for cycle, number in ((self.day, DAY_PARTS), (self.week, WEEK_PARTS)):
            if not len(cycle.means) == len(cycle.counts) == number:
                raise ValueError(f"a period of {len(cycle.means)} parts, not of {number}")
        return self


class LeadTimeMemory(Memory):
    first: Number | None
    last: Number
    weight: Annotated[Number, Field(gt=0)]
    after_load: tuple[Quantity, Quantity, Quantity]
    """Sums of the weights, of the weighted loads and of their weighted squares."""
    after_none: tuple[Quantity, Quantity, Quantity]
    seen: tuple[tuple[Number, bool], ...]


class AverageMemory(Memory):
    parts: tuple[tuple[Number, Number, Quantity], ...]
    area: Number
    time: Number
    last: Number | None


class ExtremeMemory(Memory):
    candidates: tuple[Pair, ...]


class TrendMemory(Memory):
    points: tuple[Pair, ...]
    sum: Number
    count: Annotated[int, Field(ge=0)]
    begun: Number | None


class StableMemory(Memory):
    replicas: Annotated[int, Field(ge=0)]
    since: Number | None
    lowest: ExtremeMemory
    highest: ExtremeMemory


class BurstMemory(Memory):
    recent: ExtremeMemory
    held: ExtremeMemory
    bursting: bool
    stepped: bool
    step: Number
    step_until: Number | None


class RecentMemory(Memory):
    """The past minutes."""

    average: AverageMemory
    steady: AverageMemory
    panic: AverageMemory
    trend: TrendMemory
    stable: StableMemory
    burst: BurstMemory


class PolicyMemory(Memory):
    """All that a policy knows about the traffic of its API."""

    at: Number
    """Time of the last sample, in seconds since the epoch."""
    active: Number
    """Time of the last request in flight, or else of the first sample."""
    season: SeasonMemory
    lead_time: LeadTimeMemory
    recent: RecentMemory


def write(memory: PolicyMemory) -> bytes:
    return zlib.compress(memory.model_dump_json().encode(), 1)


def read(document: bytes, version: int) -> PolicyMemory:
    """Read a document. Raises UnreadableMemory if it is of another version, or damaged."""
    if version != VERSION:
        raise UnreadableMemory(f"it has version {version}, and this gyrus reads version {VERSION}")
    try:
        return PolicyMemory.model_validate_json(_decompressed(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UnreadableMemory(f"it is damaged ({place}: {first['msg']})") from error


def _decompressed(document: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        text = decompressor.decompress(document, LARGEST)
    except zlib.error as error:
        raise UnreadableMemory(f"it is damaged ({error})") from error
    if not decompressor.eof:
        raise UnreadableMemory(f"it is incomplete, or larger than {LARGEST:,} bytes")
    return text
