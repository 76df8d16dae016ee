"""The bounds of what the activator holds."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gyrus.gate.hold_limits import HeldBytes, has_space


def test_one_api_takes_three_quarters_at_most() -> None:
    taken = 0
    while has_space(taken, taken, 1000):
        taken += 1
    assert taken == 750


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 50)), max_size=300))
def test_limit_holds_and_a_new_api_always_finds_space(asked: list[tuple[str, int]]) -> None:
    most, held = 10_000, Counter[str]()
    for api, size in asked:
        if has_space(held[api], held.total(), most, size):
            held[api] += size
    assert held.total() <= most
    if len(+held) < 4:
        assert has_space(0, held.total(), most, 1)


def test_bytes_are_counted_by_api_and_released() -> None:
    bodies = HeldBytes(100)
    bodies.change("a", 60)
    bodies.change("b", 10)
    assert (bodies.total, bodies.of("a"), bodies.of("b")) == (70, 60, 10)
    assert (bodies.growth("a"), bodies.growth("b")) == (7, 20)
    bodies.change("a", -60)
    assert (bodies.total, bodies.of("a")) == (10, 0)
