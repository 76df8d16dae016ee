"""Suggestions for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a question to append to a message; an empty string if no known name is close.

    >>> nearest("irsi", ["iris", "text"])
    ' Did you mean iris?'
    >>> nearest("zebra", ["iris", "text"])
    ''
    """
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(close)}?" if close else ""
