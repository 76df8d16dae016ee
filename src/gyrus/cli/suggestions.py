"""What a mistyped name was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """A question to end a message with, or nothing.

    >>> nearest("irsi", ["iris", "text"])
    ' Did you mean iris?'
    >>> nearest("zebra", ["iris", "text"])
    ''
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""
