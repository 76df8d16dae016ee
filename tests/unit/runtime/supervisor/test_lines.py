"""The lines are the same however the bytes of a pipe arrive, and memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.runtime.supervisor.lines import CONTINUED, LineCutter

LONGEST = 10


def cut(*chunks: bytes) -> list[str]:
    cutter = LineCutter(LONGEST)
    return [line for chunk in chunks for line in cutter.feed(chunk)] + cutter.finish()


PIECES = st.sampled_from([b"a", b"bc", b"\n", b"\r", b"0123456789", "ü".encode(), b"\xff"])


@given(st.lists(PIECES), st.data())
def test_the_way_of_arrival_does_not_matter(pieces: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(pieces)
    at = data.draw(st.integers(0, len(whole)))
    assert cut(whole[:at], whole[at:]) == cut(whole)


@given(st.lists(st.text(st.characters(exclude_characters="\n\r"), max_size=2)))
def test_short_lines_come_back(lines: list[str]) -> None:
    assert cut("".join(f"{line}\n" for line in lines).encode(errors="replace")) == [
        line.encode(errors="replace").decode() for line in lines
    ]


def test_a_long_line_is_split_and_marked() -> None:
    assert cut(b"x" * 25, b"\n") == ["x" * 10 + CONTINUED, "x" * 10 + CONTINUED, "x" * 5]


def test_an_endless_line_is_not_hoarded() -> None:
    cutter = LineCutter(LONGEST)
    assert len(cutter.feed(b"x" * 1005)) == 100
    assert cutter.finish() == ["x" * 5]


def test_carriage_returns_at_the_end_and_bad_bytes_do_no_harm() -> None:
    assert cut(b"a\r\n\xff\xfe\n\n") == ["a", "\ufffd\ufffd", ""]
