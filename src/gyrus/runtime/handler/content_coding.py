"""Decompression of request bodies (RFC 9110, section 8.4): gzip, deflate and zstd.

A body may be made to grow a thousandfold, so decompression stops at the limit for bodies, whatever was sent.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any, Protocol

from gyrus.contract.problem import BAD_REQUEST, UNSUPPORTED_MEDIA
from gyrus.runtime.server.problems import RequestRefused, decompressed_too_large
from gyrus.runtime.server.request import Request

CODING = b"content-encoding"
MOST_CODINGS = 3
MOST_MEMBERS = 1000
"""Members of one gzip body, or frames of one zstd body: each costs a decompressor, even if it is empty."""
MOST_AT_ONCE = 2
"""Bodies of one process that are decompressed at the same time: the threads may be many more."""
PIECE = 64 * 1024
"""Bytes of compressed data that a decompressor gets at once."""
WINDOW_LOG = 23
"""Binary logarithm of zstd's longest window, 8 MiB: more is not allowed over HTTP (RFC 9659)."""
_AS_SENT = frozenset({CODING, b"content-length"})
_at_once = threading.BoundedSemaphore(MOST_AT_ONCE)


class _Decompressor(Protocol):
    """A decompressor of :mod:`zlib` or :mod:`compression.zstd`."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


Maker = Callable[[bytes], _Decompressor]
"""Function that returns a decompressor for data with this beginning."""


def is_coded(request: Request) -> bool:
    return CODING in request.headers


def decode_body(request: Request, limit: int) -> None:
    """Replace the body by the decompressed one, of at most ``limit`` bytes. Raises RequestRefused.

    The headers that describe the body as it was sent are removed.
    """
    if request.body:
        with _at_once:
            request.body = _decoded(request, limit)
    request.headers = {name: value for name, value in request.headers.items() if name not in _AS_SENT}


def _decoded(request: Request, limit: int) -> bytes:
    named = request.headers[CODING].decode("latin-1").lower().split(",")
    names = [name for name in map(str.strip, named) if name not in ("", "identity")]
    makers = _makers()
    if unknown := [name for name in names if name not in makers]:
        raise _unsupported(f"The body's Content-Encoding {unknown[0]} is not supported")
    if len(names) > MOST_CODINGS:
        raise _unsupported(f"The body has {len(names)} content codings, and the limit is {MOST_CODINGS}")
    body = request.body
    for name in reversed(names):
        try:
            body = _decompress(body, makers[name], limit)
        except (zlib.error, EOFError, *_zstd_errors()) as error:
            raise RequestRefused(BAD_REQUEST, f"The body is not valid {name}: {error}.") from None
    return body


def _decompress(data: bytes, make: Maker, limit: int) -> bytes:
    """Decompress all members. Raises RequestRefused, EOFError, or the error of the library."""
    view, whole, members = memoryview(data), BytesIO(), 1
    engine = make(data)
    for start in range(0, len(view), PIECE):
        piece = bytes(view[start : start + PIECE])
        while piece:
            if engine.eof:
                members += 1
                if members > MOST_MEMBERS:
                    raise EOFError(f"it has more than {MOST_MEMBERS} members")
                engine = make(piece)
            more = engine.decompress(piece, limit - whole.tell() + 1)
            if whole.tell() + len(more) > limit:
                raise decompressed_too_large(limit)
            whole.write(more)
            piece = engine.unused_data if engine.eof else b""
    if not engine.eof:
        raise EOFError("it ends early")
    return whole.getvalue()


def _unsupported(what: str) -> RequestRefused:
    supported = [name for name in _makers() if name != "x-gzip"]
    detail = f"{what}; send it plain, or as {', '.join(supported)}."
    return RequestRefused(UNSUPPORTED_MEDIA, detail, {"accept-encoding": ", ".join(supported)})


@cache
def _makers() -> Mapping[str, Maker]:
    makers: dict[str, Maker] = {"gzip": _gzip, "x-gzip": _gzip, "deflate": _deflate}
    return makers if _zstd() is None else {**makers, "zstd": _zstandard}


def _gzip(beginning: bytes) -> _Decompressor:
    return zlib.decompressobj(16 + zlib.MAX_WBITS)


def _deflate(beginning: bytes) -> _Decompressor:
    """Return the decompressor of zlib's format, or of raw data, which some clients send by this name."""
    first = beginning[:2]
    is_zlib = len(first) == 2 and first[0] & 15 == zlib.DEFLATED and int.from_bytes(first) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)


def _zstandard(beginning: bytes) -> _Decompressor:
    zstd = _zstd()
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})


@cache
def _zstd() -> Any:
    """Return the module of Python 3.14, or its backport. Returns None if neither is installed."""
    for name in ("compression.zstd", "backports.zstd"):
        try:
            return import_module(name)
        except ImportError:
            continue
    return None


def _zstd_errors() -> tuple[type[Exception], ...]:
    return () if _zstd() is None else (_zstd().ZstdError,)
