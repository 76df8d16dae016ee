"""Server-sent events out of chunks."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gyrus.client.events import EventReader, ServerEvent

STREAM = b': hello\n\nevent: api\ndata: {"a": 1}\n\nevent: gone\r\ndata: x\r\ndata: y\r\n\r\ndata: z\n\n'
EVENTS = [
    ServerEvent("api", b'{"a": 1}'),
    ServerEvent("gone", b"x\ny"),
    ServerEvent("message", b"z"),
]  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_it_does_not_matter_where_chunks_end(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader()
    chunks = [STREAM[start:end] for start, end in pairwise(edges)]
    assert [event for chunk in chunks for event in reader.feed(chunk)] == EVENTS


def test_an_unfinished_event_is_none() -> None:
    assert EventReader().feed(b"event: api\ndata: {}\n") == []
