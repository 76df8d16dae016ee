"""What a policy has learned outlives its operator."""

from __future__ import annotations

import json
import math
import random
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.autoscaling.default import FRESH, DefaultPolicy
from gyrus.autoscaling.memory import LARGEST, VERSION, PolicyMemory, UnreadableMemory, read, write
from gyrus.autoscaling.policy import Decision
from gyrus.autoscaling.season import DAY
from support.examples import examples
from support.traffic import Api, api

SETTINGS: dict[str, Any] = {"min_replicas": 0, "max_replicas": 50, "downscale_stabilization_period": "1m"}
LOADS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0, 2.5, 7.0, 20.0]), st.integers(1, 60)), min_size=1, max_size=8
)


def chat(**autoscaling: Any) -> Api:
    return Api(DefaultPolicy(api(**{**SETTINGS, **autoscaling}).scaling), requested=1)


def memory_of(seen: Api) -> PolicyMemory:
    assert isinstance(seen.policy, DefaultPolicy)
    memory = seen.policy.memory()
    assert memory
    return memory


def restart(seen: Api, *, gap: float = 0.0, **autoscaling: Any) -> None:
    """Continue with the policy of the next operator, so many seconds later."""
    document = write(memory_of(seen))
    seen.policy = policy = DefaultPolicy(api(**{**SETTINGS, **autoscaling}).scaling)
    seen.now += gap
    policy.recall(read(document, VERSION), seen.now)


def noisy(mean: float, seconds: int, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [max(0.0, chance.gauss(mean, mean / 2)) for _ in range(seconds)]


@settings(max_examples=examples(0.5))
@given(before=LOADS, after=LOADS)
def test_decisions_after_a_restart_are_those_without_one(
    before: Sequence[tuple[float, int]], after: Sequence[tuple[float, int]]
) -> None:
    steady, restarted = chat(), chat()
    for each in (steady, restarted):
        for load, seconds in before:
            each.see(load, seconds=seconds)
    restart(restarted)
    for each in (steady, restarted):
        for load, seconds in after:
            each.see(load, seconds=seconds)
    assert restarted.decisions == steady.decisions


@settings(max_examples=examples(0.3))
@given(before=LOADS)
def test_what_is_written_is_read(before: Sequence[tuple[float, int]]) -> None:
    seen = chat()
    for load, seconds in before:
        seen.see(load, seconds=seconds)
    memory = memory_of(seen)
    assert read(write(memory), VERSION) == memory


def bursts(seen: Api, number: int) -> list[Decision]:
    """Bursts of 40 seconds, in each two minutes; returns the decision about the first second of each."""
    first: list[Decision] = []
    for _ in range(number):
        seen.see(0.0, seconds=80)
        first.append(seen.see(9.0))
        seen.see(9.0, seconds=39)
    return first


@pytest.mark.parametrize("gap", [0.0, 5.0, 300.0, 8 * 3600.0])
def test_learned_bursts_are_remembered_however_long_no_operator_ran(gap: float) -> None:
    seen = chat(downscale_stabilization_period="5m")
    first, *_, last = bursts(seen, 15)
    assert first.wanted < 9 <= last.wanted  # all of a learned burst is ordered at once
    restart(seen, gap=gap, downscale_stabilization_period="5m")
    [next_one] = bursts(seen, 1)
    assert next_one.wanted >= 9


def test_season_is_remembered() -> None:
    """Every day at eight, the load rises from 0 to 20."""
    seen = chat()
    for _ in range(2):
        start = math.ceil(seen.now / DAY) * DAY + 7 * 3600
        for load, minutes in ((0.0, 60), (20.0, 30), (0.0, 30)):
            seen.now = max(seen.now, start)
            seen.see(load, seconds=minutes * 60)
            start = seen.now
    assert seen.requested == 0
    shortly_before = math.ceil(seen.now / DAY) * DAY + 8 * 3600 - 6
    restart(seen, gap=shortly_before - seen.now)
    assert seen.see(0.0).replicas > 10


@pytest.mark.parametrize("gap", [FRESH + 1, 3600.0, -3600.0])
def test_unseen_traffic_does_not_count_as_silence(gap: float) -> None:
    seen = chat()
    seen.follow(noisy(3.0, 300))
    present = seen.requested
    restart(seen, gap=gap)
    assert seen.see(0.0).replicas >= present


def test_size_is_bounded() -> None:
    widest = {"window": "24h", "panic_window": "24h", "upscale_stabilization_period": "24h"}
    seen = chat(**{**widest, "downscale_stabilization_period": "24h"})
    seen.startup = 3600.0
    for load in noisy(5.0, 6000):
        seen.see(load)
    falling = (5.0 * (1 - second / 6000) for second in range(6000))
    seen.follow(falling)
    assert len(memory_of(seen).model_dump_json()) < LARGEST / 4
    assert len(write(memory_of(seen))) < 100_000
    idle = chat()
    idle.see(0.0, seconds=3000)
    assert len(write(memory_of(idle))) < 2_000


def test_nothing_is_remembered_before_the_first_sample() -> None:
    assert DefaultPolicy(api().scaling).memory() is None


def valid() -> bytes:
    seen = chat()
    seen.follow(noisy(2.0, 50))
    return write(memory_of(seen))


VALID = valid()


def test_another_version_is_refused() -> None:
    with pytest.raises(UnreadableMemory, match="version 2, and this gyrus reads version 1"):
        read(VALID, VERSION + 1)


@given(document=st.binary(max_size=200) | st.binary(max_size=50).map(zlib.compress))
def test_any_other_bytes_are_refused(document: bytes) -> None:
    with pytest.raises(UnreadableMemory, match="it is"):
        read(document, VERSION)


@given(place=st.integers(0, len(VALID) - 1), bit=st.integers(0, 7))
def test_damaged_document_is_refused_or_read(place: int, bit: int) -> None:
    damaged = bytearray(VALID)
    damaged[place] ^= 1 << bit
    try:
        memory = read(bytes(damaged), VERSION)
    except UnreadableMemory:
        return
    seen = chat()
    assert isinstance(seen.policy, DefaultPolicy)
    seen.policy.recall(memory, seen.now)
    seen.see(1.0, seconds=10)


def test_bomb_is_refused() -> None:
    with pytest.raises(UnreadableMemory, match="larger than"):
        read(zlib.compress(b" " * (LARGEST + 1)), VERSION)


@pytest.mark.parametrize(
    ("field", "value"), [("at", "soon"), ("at", float("inf")), ("season", {}), ("more", 1), ("active", None)]
)
def test_document_with_another_shape_is_refused(field: str, value: object) -> None:
    document = json.loads(zlib.decompress(VALID)) | {field: value}
    with pytest.raises(UnreadableMemory, match=f"it is damaged \\({field}"):
        read(zlib.compress(json.dumps(document).encode()), VERSION)


def test_season_of_another_length_is_refused() -> None:
    document = json.loads(zlib.decompress(VALID))
    document["season"]["day"]["means"].pop()
    with pytest.raises(UnreadableMemory, match="a period of 1439 parts, not of 1440"):
        read(zlib.compress(json.dumps(document).encode()), VERSION)
