"""Heads as bytes for the other side, without the headers of one connection and with the proxy's framing."""

from __future__ import annotations

from gyrus.contract.replica import PRIVATE_HEADERS
from gyrus.runtime.queue_proxy.message import BODILESS, HeaderList, MessageHead

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
FRAMING = frozenset({b"content-length", b"host"})
"""Kept even if ``Connection`` names them: without them, the other side would read a different message."""
EXPECT = b"expect"
PRIVATE = PRIVATE_HEADERS.encode()
REQUEST_ID = b"x-request-id"
LAST_CHUNK = b"0\r\n\r\n"


def request_bytes(head: MessageHead, request_id: bytes) -> bytes:
    """Encode the request's head for the server."""
    headers = [pair for pair in _passed_on(head) if not _is_ours(pair[0].lower())]
    if head.get(REQUEST_ID) is None:
        headers.append((REQUEST_ID, request_id))
    if wants_upgrade(head):
        headers += [(b"connection", b"upgrade"), (b"upgrade", head.get(b"upgrade") or b"")]
    elif head.chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method, head.target, _lines(headers))


def _is_ours(name: bytes) -> bool:
    """Return True if the header is between the gateway and the proxy."""
    return name == EXPECT or name.startswith(PRIVATE)


def answer_bytes(head: MessageHead, request_id: bytes, *, chunked: bool, close: bool) -> bytes:
    """Encode the answer's head for the client."""
    # The gateway would take the server's private headers for the proxy's.
    headers = [pair for pair in _passed_on(head) if not pair[0].lower().startswith(PRIVATE)]
    if head.get(REQUEST_ID) is None:
        headers.append((REQUEST_ID, request_id))
    if chunked:
        headers.append((b"transfer-encoding", b"chunked"))
    if head.status == 101:
        headers += [(b"connection", b"upgrade"), (b"upgrade", head.get(b"upgrade") or b"")]
    elif close:
        headers.append((b"connection", b"close"))
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.phrase, _lines(headers))


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def wants_upgrade(head: MessageHead) -> bool:
    return head.get(b"upgrade") is not None and b"upgrade" in _connection_tokens(head)


def has_no_body(request: MessageHead, answer: MessageHead) -> bool:
    """Return True if the answer ends with its head, whatever its headers are."""
    return request.method == b"HEAD" or answer.status in BODILESS or answer.status < 200


def _passed_on(head: MessageHead) -> HeaderList:
    dropped = HOP_BY_HOP | (_connection_tokens(head) - FRAMING)
    return [(name, value) for name, value in head.headers if name.lower() not in dropped]


def _connection_tokens(head: MessageHead) -> frozenset[bytes]:
    """Return the names of the headers that are for this connection only."""
    values = [value for name, value in head.headers if name.lower() == b"connection"]
    return frozenset(token.strip().lower() for token in b",".join(values).split(b","))


def _lines(headers: HeaderList) -> bytes:
    return b"".join(b"%b: %b\r\n" % pair for pair in headers)
