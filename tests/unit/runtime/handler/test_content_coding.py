from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable

import pytest
from backports import zstd

from gyrus.runtime.handler import content_coding
from gyrus.runtime.handler.content_coding import MOST_MEMBERS, decode_body
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.request import Request

TEXT = b'{"a": 1}'
LIMIT = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return engine.compress(data) + engine.flush()


CODINGS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("X-GZip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("zstd", zstd.compress),
]


def decoded(body: bytes, coding: str) -> Request:
    request = Request(
        b"POST", b"/", {b"content-encoding": coding.encode(), b"content-length": b"9", b"x": b"y"}, body
    )
    decode_body(request, LIMIT)
    return request


def refusal(body: bytes, coding: str) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        decoded(body, coding)
    return caught.value


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_a_coded_body(coding: str, compress: Callable[[bytes], bytes]) -> None:
    request = decoded(compress(TEXT), coding)
    assert request.body == TEXT
    assert request.headers == {b"x": b"y"}, "a handler must not decompress it again"
    data = os.urandom(200_000)
    assert decoded(compress(data), coding).body == data


@pytest.mark.parametrize("coding", ["identity", "", " , ", "Identity"])
def test_no_coding(coding: str) -> None:
    assert decoded(TEXT, coding).body == TEXT


def test_codings_are_undone_in_reverse_order() -> None:
    assert decoded(zstd.compress(gzip.compress(TEXT)), "gzip, identity, zstd").body == TEXT
    assert refusal(zstd.compress(gzip.compress(TEXT)), "zstd, gzip").kind.status == 400


def test_members_are_joined() -> None:
    assert decoded(gzip.compress(b"ab") + gzip.compress(b"cd"), "gzip").body == b"abcd"
    assert decoded(zstd.compress(b"ab") + zstd.compress(b"cd"), "zstd").body == b"abcd"


@pytest.mark.parametrize("coding", ["br", "compress", "gzip, br", "\x80"])
def test_other_codings_are_refused_with_those_that_are_supported(coding: str) -> None:
    refused = refusal(TEXT, coding)
    assert refused.kind.status == 415
    assert refused.detail.endswith("is not supported; send it plain, or as gzip, deflate, zstd.")
    assert refused.headers == {"accept-encoding": "gzip, deflate, zstd"}


def test_without_its_library_zstd_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_coding, "_zstd", lambda: None)
    content_coding._makers.cache_clear()  # pyright: ignore[reportPrivateUsage] -- of the library's presence
    try:
        assert refusal(zstd.compress(TEXT), "zstd").headers == {"accept-encoding": "gzip, deflate"}
        assert decoded(gzip.compress(TEXT), "gzip").body == TEXT
    finally:
        content_coding._makers.cache_clear()  # pyright: ignore[reportPrivateUsage]


def test_too_many_codings() -> None:
    assert refusal(TEXT, "gzip, gzip, gzip, gzip").kind.status == 415


def test_an_empty_body_has_no_coding() -> None:
    assert decoded(b"", "br").body == b""


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_damaged_bodies(coding: str, compress: Callable[[bytes], bytes]) -> None:
    whole = compress(TEXT * 10)
    assert refusal(whole[:-2], coding).kind.status == 400
    assert refusal(TEXT, coding).kind.status == 400
    assert refusal(whole + b"junk", coding).kind.status == 400


@pytest.mark.parametrize(("coding", "compress"), CODINGS)
def test_the_limit_is_that_of_the_decompressed_body(coding: str, compress: Callable[[bytes], bytes]) -> None:
    assert len(decoded(compress(bytes(LIMIT)), coding).body) == LIMIT
    refused = refusal(compress(bytes(LIMIT + 1)), coding)
    assert refused.kind.status == 413
    assert refused.detail == "The decompressed body is larger than the limit of 1 MiB; send less at once."
    assert refusal(compress(bytes(64 * LIMIT)), coding).kind.status == 413


def test_a_bomb_in_a_bomb() -> None:
    bomb = gzip.compress(gzip.compress(bytes(64 * LIMIT)))
    assert len(bomb) < 1000
    assert refusal(bomb, "gzip, gzip").kind.status == 413


def test_decompressors_stop_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self, wbits: int) -> None:
            self._engine = real(wbits)

        @property
        def eof(self) -> bool:
            return self._engine.eof

        @property
        def unused_data(self) -> bytes:
            return self._engine.unused_data

        def decompress(self, data: bytes, most: int) -> bytes:
            found = self._engine.decompress(data, most)
            made.append(len(found))
            return found

    monkeypatch.setattr(zlib, "decompressobj", Counting)
    refusal(gzip.compress(bytes(64 * LIMIT)), "gzip")
    assert sum(made) == LIMIT + 1


def test_many_empty_members_are_refused() -> None:
    for coding, empty in (("gzip", gzip.compress(b"")), ("zstd", zstd.compress(b""))):
        assert decoded(empty * MOST_MEMBERS, coding).body == b""
        assert refusal(empty * (MOST_MEMBERS + 1), coding).kind.status == 400


def test_a_window_that_is_too_long_is_refused() -> None:
    engine = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    body = engine.compress(TEXT) + engine.flush()
    assert refusal(body, "zstd").kind.status == 400
