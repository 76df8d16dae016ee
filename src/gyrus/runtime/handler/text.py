"""Text in the charset that the client names."""

from __future__ import annotations

import codecs

from gyrus.contract.problem import BAD_REQUEST, UNSUPPORTED_MEDIA
from gyrus.runtime.server.problems import RequestRefused

_NOT_CHARSETS = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape", "undefined", "utf-7"})
"""Codecs of Python that are not charsets, take quadratic time, or make halves of surrogate pairs."""


def decode_text(body: bytes, charset: str, what: str = "The body") -> str:
    """Decode text. Raises RequestRefused if it has another charset, or an unknown one."""
    try:
        name = codecs.lookup(charset).name.replace("_", "-")
        if name in _NOT_CHARSETS:
            raise LookupError(name)
        return body.decode(charset)
    except LookupError:
        message = f"{what}'s charset {charset} is unknown; send UTF-8."
        raise RequestRefused(UNSUPPORTED_MEDIA, message) from None
    except (UnicodeError, ValueError) as error:
        raise RequestRefused(BAD_REQUEST, f"{what} is not text in {charset}: {error}.") from None
