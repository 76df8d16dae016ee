"""Text for people, with everything visible that would act on a terminal or mislead the reader."""

import re
import unicodedata

_NAMES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
_HIDDEN = {
    *(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))),  # control characters: C0, DEL and C1
    *("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"),  # change the direction
    *("\u2028\u2029"),  # end a line for some programs
    *("\ufeff\u200b\u2060\u00ad\u180e"),  # have no width
}
_TAGS = "\U000e0000-\U000e007f"
"""Invisible copies of ASCII."""
_SPECIAL = re.compile(f"[{re.escape(''.join(sorted(_HIDDEN)))}{_TAGS}\ud800-\udfff]")
_SPECIAL_IN_LINES = re.compile(
    f"[{re.escape(''.join(sorted(_HIDDEN - {chr(9), chr(10)})))}{_TAGS}\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """Return the text as one line: ``\\n``, ``\\x1b``, ``\\u202e`` in place of such characters."""
    return _SPECIAL.sub(_escape, text)


def escaped_lines(text: str) -> str:
    """Return the text with its lines and tabs as they are, and all else escaped."""
    return _SPECIAL_IN_LINES.sub(_escape, text)


def unsuitable(text: str) -> str | None:
    """Return the first control character or half of a surrogate pair.

    Returns None if there is none. Tabs and line ends are suitable.
    """
    for character in text:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in _NAMES:
            return character
    return None


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if name := _NAMES.get(character):
        return name
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
