"""Malformed bytes, cut at any place: the server stays up, and its answers are well-formed."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gyrus.contract.replica import Limits
from support.examples import examples
from support.wire import Wire, echo, read_replies

LIMITS = Limits(max_header=300, max_body=200)

FRAGMENTS = [
    b"GET / HTTP/1.1\r\n", b"POST /a?b=c HTTP/1.1\r\n", b"HEAD / HTTP/1.0\r\n", b"PRI * HTTP/2.0\r\n", b"G",
    b"CONNECT a:1 HTTP/1.1\r\n", b"Host: a\r\n", b"Host : a\r\n", b"Content-Length: 3\r\n",
    b"Content-Length: 3, 4\r\n", b"Content-Length: -1\r\n", b"Content-Length: 999\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked, gzip\r\n", b"Transfer-Encoding: x\r\n",
    b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"X-Request-Id: " + b"x" * 150 + b"\r\n", b"Cookie: a\r\n", b"X: \x00\r\n", b" folded\r\n", b"\r\n",
    b"\n", b"\r", b"abc", b"3\r\nabc\r\n", b"3;e=" + b"f" * 90 + b"\r\nabc\r\n", b"0\r\n\r\n",
    b"0\r\nT: u\r\n\r\n",
    b"ffffffffffffffff\r\n", b"y" * 250, b"\xff\xfe", b"\x16\x03\x01",
]  # fmt: skip
REQUEST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
whole = st.sampled_from([REQUEST, CHUNKED, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"])
hostile = st.lists(st.one_of(st.sampled_from(FRAGMENTS), whole, st.binary(max_size=20)), max_size=12)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True) if data[a:b]]


@settings(max_examples=examples(5), deadline=None)
@given(hostile.map(b"".join), st.lists(st.integers(0, 5000), max_size=8), st.booleans())
@example(
    b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc", [60, 78], False
)
def test_whatever_comes_the_answers_are_well_formed(data: bytes, places: list[int], late: bool) -> None:
    wire = Wire(serve=None if late else echo, limits=LIMITS)
    for chunk in cut(data, places):
        if wire.transport.reading and not wire.transport.closed:
            wire.send(chunk)
        for exchange in wire.exchanges:
            if late and exchange.open:
                echo(exchange)
    for exchange in wire.exchanges:
        assert len(exchange.request.body) <= LIMITS.max_body
        assert sum(len(n) + len(v) for n, v in exchange.request.headers.items()) <= LIMITS.max_header
    heads = {exchange.request.method for exchange in wire.exchanges} == {b"HEAD"}
    if b"HEAD" not in data or heads:
        statuses = [reply.status for reply in read_replies(bytes(wire.transport.written), head=heads)]
        final = [status for status in statuses if status != 100]
        assert set(final) <= {200, 400, 413, 431}
        assert final.count(200) == len(wire.exchanges)
        assert not [status for status in final[:-1] if status != 200], "nothing comes behind a refusal"
    wire.lose()
    assert not wire.server.connections


@settings(max_examples=examples(2), deadline=None)
@given(st.lists(whole, min_size=1, max_size=4), st.lists(st.integers(0, 500), max_size=10))
def test_the_cuts_make_no_difference(requests: list[bytes], places: list[int]) -> None:
    data = b"".join(requests)
    expected = [b"" if request.startswith(b"GET") else b"abc" for request in requests]
    wire = Wire(serve=echo)
    wire.send(*cut(data, places))
    replies = read_replies(bytes(wire.transport.written))
    assert [reply.body for reply in replies] == expected
    assert not wire.transport.closed


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(request_bytes: bytes) -> None:
    wire = Wire(serve=echo)
    wire.send(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    (reply,) = read_replies(bytes(wire.transport.written))
    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["connection"] == "close"
    assert not [exchange for exchange in wire.exchanges if b"smuggled" in exchange.request.target]
    assert wire.transport.eof_written


def test_a_trailer_does_not_become_a_header() -> None:
    wire = Wire(serve=echo)
    wire.send(
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nx-gyrus-internal: 1\r\n\r\n"
    )
    assert b"x-gyrus-internal" not in wire.exchanges[0].request.headers


def test_endless_chunk_extensions_are_refused() -> None:
    wire = Wire(serve=echo, limits=LIMITS)
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    for _ in range(40):
        wire.send(b"e" * 2000)
    assert wire.statuses == [400]


def test_an_endless_header_is_refused_before_its_end() -> None:
    wire = Wire(serve=echo, limits=LIMITS)
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
    for _ in range(10):
        wire.send(b"x" * 100)
    assert wire.statuses == [431]


def test_the_end_of_a_body_is_no_framing_of_the_request_behind_it() -> None:
    wire = Wire(serve=echo)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    first, second = bytes(300_000), b"second"
    data = head % len(first) + first + head % len(second) + second
    wire.send(data[:1000], data[1000:-1], data[-1:])
    assert [reply.body for reply in read_replies(bytes(wire.transport.written))] == [first, second]
