"""Heads that the queue proxy forwards."""

from __future__ import annotations

from gyrus.runtime.queue_proxy.message import MessageHead
from gyrus.runtime.queue_proxy.wire import answer_bytes, request_bytes

HEADERS = [
    (b"Host", b"iris"),
    (b"Connection", b"close, X-Mine, Content-Length, Host"),
    (b"Content-Length", b"3"),
    (b"X-Mine", b"1"),
    (b"X-Theirs", b"2"),
]


def test_what_a_connection_names_as_its_own_is_not_passed_on_but_for_what_frames_the_message() -> None:
    request = MessageHead(HEADERS, "1.1", keep_alive=False, method=b"POST", target=b"/")
    _, *lines = request_bytes(request, b"id").split(b"\r\n")
    assert lines == [b"Host: iris", b"Content-Length: 3", b"X-Theirs: 2", b"x-request-id: id", b"", b""]
    answer = MessageHead(HEADERS[1:], "1.1", keep_alive=False, status=200, phrase=b"OK")
    assert b"Content-Length: 3" in answer_bytes(answer, b"id", chunked=False, close=True).split(b"\r\n")


def test_servers_cannot_answer_with_private_headers() -> None:
    claims = [(b"X-Gyrus-Requeue", b"1"), (b"x-gyrus-requeue", b"1"), (b"X-GYRUS-ANY", b"1")]
    for status in (101, 200, 503):
        answer = MessageHead([*claims, (b"X-Mine", b"1")], "1.1", keep_alive=True, status=status, phrase=b"")
        encoded = answer_bytes(answer, b"id", chunked=True, close=False).lower()
        assert b"x-gyrus" not in encoded
        assert b"x-mine: 1" in encoded
