"""Text for people, with everything visible that would act on a terminal or mislead the reader."""

import json
import re
import unicodedata
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")
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


def escaped_json(document: str) -> str:
    """Return the same JSON document with escapes in place of special characters, which only texts have."""
    return _SPECIAL_IN_LINES.sub(lambda match: json.dumps(match[0])[1:-1], document)


def shown(value: T) -> T:
    """Return a copy of data whose texts are escaped, lines kept: of dataclasses, mappings and sequences."""
    return cast(T, _shown(value))


def _shown(value: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return escaped_lines(value)
    if isinstance(value, dict):
        return {_shown(key): _shown(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        items = [_shown(item) for item in cast("list[Any]", value)]
        return items if isinstance(value, list) else tuple(items)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _shown(getattr(value, f.name)) for f in fields(value) if f.init})
    return value


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
