"""Order, end and timeouts of one connection."""

from __future__ import annotations

import json
from time import monotonic

import pytest

from gyrus.contract.replica import Limits
from gyrus.runtime.server.answer import Answer, Head
from support.wire import Wire, echo, read_replies

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *headers: str) -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers).encode()
    return b"POST / HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, len(body), body)


def later(wire: Wire, seconds: float) -> None:
    wire.connection.check(monotonic() + seconds)


def test_answers_come_in_the_order_of_requests() -> None:
    wire = Wire()
    wire.send(post(b"1") + post(b"2") + post(b"3"))
    assert [exchange.request.body for exchange in wire.exchanges] == [b"1"], "one at a time"
    for _ in range(3):
        echo(wire.exchanges[-1])
    assert [reply.body for reply in read_replies(bytes(wire.transport.written))] == [b"1", b"2", b"3"]


def test_reading_stops_while_a_request_waits_behind_another() -> None:
    wire = Wire()
    wire.send(post(b"1"))
    assert wire.transport.reading, "or its client's end would not be noticed"
    wire.send(post(b"2"))
    assert not wire.transport.reading
    echo(wire.exchanges[0])
    assert wire.transport.reading
    wire.send(post(b"3"))
    assert not wire.transport.reading
    echo(wire.exchanges[1])
    echo(wire.exchanges[2])
    assert wire.transport.reading


def test_thousands_at_once_do_not_end_in_recursion() -> None:
    wire = Wire(serve=echo)
    wire.send(GET * 5000)
    assert len(read_replies(bytes(wire.transport.written))) == 5000


def test_keep_alive_is_the_clients_choice() -> None:
    wire = Wire(serve=echo)
    wire.send(GET)
    assert not wire.transport.closed
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert wire.transport.closed
    old = Wire(serve=echo)
    old.send(b"GET / HTTP/1.0\r\n\r\n")
    assert old.transport.closed
    assert "connection: close" in old.text


def test_a_server_that_closes_ends_each_connection_with_its_answer() -> None:
    wire = Wire()
    wire.send(post(b"1"))
    wire.server.closing = True
    echo(wire.exchanges[0])
    assert "connection: close" in wire.text
    assert wire.transport.closed


def test_expect_100_continue() -> None:
    wire = Wire(serve=echo)
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert wire.text == "HTTP/1.1 100 Continue\r\n\r\n"
    wire.send(b"abc")
    assert wire.statuses == [100, 200]
    eager = Wire(serve=echo)
    eager.send(post(b"abc", "Expect: 100-continue"))
    assert eager.statuses == [200], "the body is there: no need to ask for it"


def test_100_continue_waits_for_its_turn() -> None:
    wire = Wire()
    wire.send(post(b"1") + b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert wire.text == ""
    echo(wire.exchanges[0])
    assert wire.statuses == [200, 100]


def test_a_body_that_would_be_too_large_is_refused_without_being_asked_for() -> None:
    wire = Wire(serve=echo, limits=Limits(max_body=10))
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
    (reply,) = read_replies(bytes(wire.transport.written))
    assert reply.status == 413
    assert json.loads(reply.body)["detail"] == (
        "The body is larger than the limit of 10 bytes; send less at once."
    )
    assert json.loads(reply.body)["type"] == "urn:gyrus:problem:body-too-large"


def test_what_is_refused_before_it_was_read_keeps_its_id() -> None:
    wire = Wire(serve=echo, limits=Limits(max_body=10))
    wire.send(post(b"1", "x-request-id: first"))
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nx-request-id: second\r\nContent-Length: 11\r\n\r\n")
    _, refused = read_replies(bytes(wire.transport.written))
    assert json.loads(refused.body)["instance"] == "urn:gyrus:request:second"
    confused = Wire(serve=echo)
    confused.send(post(b"1", "x-request-id: first") + b"no HTTP at all\r\n\r\n")
    _, refused = read_replies(bytes(confused.transport.written))
    assert "first" not in json.loads(refused.body)["instance"]


def test_a_chunked_body_is_limited_too() -> None:
    wire = Wire(serve=echo, limits=Limits(max_body=10))
    wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", b"8\r\n12345678\r\n" * 2)
    assert wire.statuses == [413]


def test_a_header_is_limited() -> None:
    wire = Wire(serve=echo, limits=Limits(max_header=100))
    wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 100 + b"\r\n\r\n")
    assert wire.statuses == [431]


def test_head_has_the_length_and_no_body() -> None:
    wire = Wire(serve=lambda exchange: exchange.answer(Answer(200, "text/plain", b"hello")))
    wire.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert "content-length: 5\r\n" in wire.text
    assert wire.text.endswith("\r\n\r\n")
    wire.send(GET)
    assert wire.text.endswith("hello")


def test_204_has_neither_body_nor_length() -> None:
    wire = Wire(serve=lambda exchange: exchange.answer(Answer(204, None, b"")))
    wire.send(GET)
    assert "content-length" not in wire.text


def test_the_request_id_is_taken_or_made() -> None:
    wire = Wire(serve=echo)
    wire.send(post(b"", "X-Request-Id: abc-1"), GET, post(b"", "X-Request-Id: " + "x" * 129), GET)
    ids = [reply.headers["x-request-id"] for reply in read_replies(bytes(wire.transport.written))]
    assert ids[0] == "abc-1"
    assert len({*ids}) == 4
    assert all(len(made) == 24 for made in ids[1:])


def test_a_stream_is_chunked() -> None:
    wire = Wire()
    wire.send(GET)
    (exchange,) = wire.exchanges
    exchange.begin(Head(200, "text/plain"))
    exchange.send(b"hello ")
    exchange.send(b"")
    exchange.send(b"world")
    exchange.end()
    (reply,) = read_replies(bytes(wire.transport.written))
    assert reply.body == b"hello world"
    assert not wire.transport.closed


def test_a_stream_to_an_old_client_ends_with_its_connection() -> None:
    wire = Wire()
    wire.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    (exchange,) = wire.exchanges
    exchange.begin(Head(200, "text/plain"))
    exchange.send(b"hello")
    exchange.end()
    assert wire.text.endswith("connection: close\r\n\r\nhello")
    assert wire.transport.closed


def test_a_stream_that_is_cut_has_no_end() -> None:
    wire = Wire()
    wire.send(GET)
    (exchange,) = wire.exchanges
    exchange.begin(Head(200, "text/plain"))
    exchange.send(b"hello")
    exchange.cut()
    assert wire.text.endswith("5\r\nhello\r\n")
    assert wire.transport.closed


class Owner:
    def __init__(self) -> None:
        self.gone = self.ready = 0

    def client_gone(self) -> None:
        self.gone += 1

    def client_ready(self) -> None:
        self.ready += 1


def test_the_owner_is_notified_when_the_client_goes() -> None:
    wire, owner = Wire(), Owner()
    wire.send(GET)
    (exchange,) = wire.exchanges
    exchange.owner = owner
    wire.lose()
    echo(exchange)
    assert (owner.gone, exchange.open) == (1, False)
    assert wire.text == ""


def test_requests_behind_a_lost_connection_are_never_served() -> None:
    wire = Wire()
    wire.send(GET + GET)
    wire.lose()
    assert len(wire.exchanges) == 1


def test_a_client_that_does_not_read_holds_a_stream_back() -> None:
    wire, owner = Wire(), Owner()
    wire.send(GET)
    (exchange,) = wire.exchanges
    exchange.owner = owner
    exchange.begin(Head(200, "text/plain"))
    wire.connection.pause_writing()
    assert exchange.choked
    wire.connection.resume_writing()
    assert (owner.ready, exchange.choked) == (1, False)


@pytest.mark.parametrize(
    ("sent", "seconds", "status"),
    [
        (b"GET / HT", 10.5, 408),
        (b"GET / HT", 9.5, None),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", 30.5, 408),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na", 29.5, None),
    ],
)
def test_slow_requests(sent: bytes, seconds: float, status: int | None) -> None:
    wire = Wire()
    wire.send(sent)
    later(wire, seconds)
    assert wire.statuses == ([status] if status else [])
    if status:
        later(wire, seconds + 5)
        assert wire.transport.aborted


def test_a_header_has_its_time_from_its_first_byte_on() -> None:
    wire = Wire(limits=Limits(header_timeout=0.2))
    wire.send(b"GET ")
    began = monotonic()
    for moment in (0.05, 0.1, 0.15):  # bytes that keep coming do not prolong it
        while monotonic() < began + moment:
            pass
        wire.send(b"/")
    wire.connection.check(began + 0.25)
    assert wire.statuses == [408]


def test_an_idle_connection_ends_silently() -> None:
    wire = Wire(serve=echo)
    wire.send(GET)
    later(wire, 74)
    assert not wire.transport.closed
    later(wire, 76)
    assert wire.transport.closed
    assert wire.statuses == [200]


def test_a_request_that_is_worked_on_is_not_idle() -> None:
    wire = Wire()
    wire.send(GET)
    later(wire, 1000)
    assert not wire.transport.closed


def test_a_client_that_does_not_take_its_answer_is_cut() -> None:
    wire = Wire()
    wire.send(GET)
    wire.transport.unsent = 100_000
    wire.connection.pause_writing()
    later(wire, 29)
    assert not wire.transport.closed
    wire.transport.unsent = 90_000
    later(wire, 31)
    assert not wire.transport.closed, "it took some"
    later(wire, 599)
    assert not wire.transport.closed, "the gateway may read ahead for it"
    later(wire, 700)
    assert wire.transport.aborted


def test_an_idle_client_that_never_read_its_answer_is_cut() -> None:
    wire = Wire(serve=echo)
    wire.send(GET)
    wire.transport.unsent = 10
    later(wire, 76)
    assert wire.transport.aborted
