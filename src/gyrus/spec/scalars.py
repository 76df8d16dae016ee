"""Plain scalars of YAML 1.2, and those that YAML 1.1 reads in another way.

Numbers, booleans and null are those of the core schema of YAML 1.2: ``1e-3``, ``1E5``, ``.5``, ``0o17``.
Dates and ``12:30`` are text. A scalar whose meaning depends on the version of YAML is doubtful: ``1_000``,
``017``, ``0b1``, and in free-form data ``yes``, ``no``, ``on`` and ``off``.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import ScalarNode

TAG = "tag:yaml.org,2002:"
DOUBTFUL = "tag:gyrus,2026:doubtful"
"""The tag of doubtful numbers."""
WORDS = frozenset({"yes", "no", "on", "off"})
"""Words that YAML 1.1 reads as booleans, in any case."""
MOST_DIGITS = 4000
"""Python reads no whole number with more."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_DOUBTFUL = re.compile(
    r"[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"  # 1_000
    r"|[-+]?[0-9]+\.[0-9]*_[0-9_]*([eE][-+]?[0-9]+)?"  # 0.1_5
    r"|[-+]?0[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)?"  # 017
    r"|[-+]?0b[01_]+|[-+]0[xo][0-9a-fA-F_]+|0[xo][0-9a-fA-F]*_[0-9a-fA-F_]*"
)
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_NULL = re.compile(r"~|null|Null|NULL|")
_START_OF_NUMBER = list("-+.0123456789")

Loader: type[Any] = type(
    "Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {"yaml_implicit_resolvers": {}}
)
"""A loader that resolves plain scalars by the rules of this module."""

for _tag, _pattern, _first in (
    (f"{TAG}int", _INT, _START_OF_NUMBER),
    (f"{TAG}float", _FLOAT, _START_OF_NUMBER),
    (DOUBTFUL, _DOUBTFUL, _START_OF_NUMBER),
    (f"{TAG}bool", _BOOL, list("tTfFyYnNoO")),
    (f"{TAG}null", _NULL, ["~", "n", "N", ""]),
    (f"{TAG}merge", re.compile("<<"), ["<"]),
):
    Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern.pattern})\Z", _pattern.flags), _first)


def plain_value(node: ScalarNode) -> Any:
    """Return a scalar's value. Raises ValueError if its tag does not fit."""
    text: str = node.value
    match node.tag.removeprefix(TAG):
        case "null":
            return None
        case "bool":
            return _boolean(text)
        case "int":
            return _whole_number(text)
        case "float":
            return float(re.sub(r"\.(inf|nan)", r"\1", text, flags=re.IGNORECASE))
        case _:
            return text


def doubt_of(node: ScalarNode, value: Any) -> tuple[str, str] | None:
    """Return the message and the remedy for a doubtful scalar. Returns None if it is clear."""
    if node.tag == DOUBTFUL:
        return f"{node.value} is not the same in all versions of YAML", _remedy(node.value)
    if isinstance(value, bool) and node.value.lower() in WORDS:
        remedy = f'write {str(value).lower()}, or quote it: "{node.value}"'
        return f"{node.value} is a boolean or text, depending on the version of YAML", remedy
    return None


def _remedy(text: str) -> str:
    plain = text.replace("_", "")
    if re.fullmatch(r"[-+]?0[0-7]+", plain):
        return f'write {plain.lstrip("+-0") or 0} or 0o{plain.lstrip("+-0") or 0}, or quote it: "{text}"'
    if re.fullmatch(r"[-+]?0[bxo]\w+", plain):
        return f'write {int(plain, 0)}, or quote it: "{text}"'
    if re.fullmatch(r"[-+]?0\d+.*", plain):
        plain = re.sub(r"^([-+]?)0+(?=\d)", r"\1", plain)
    return f'write {plain}, or quote it: "{text}"'


def _boolean(text: str) -> bool:
    if not _BOOL.fullmatch(text):
        raise ValueError(text)
    return text.lower() in {"true", "yes", "on"}


def _whole_number(text: str) -> int:
    if len(text) > MOST_DIGITS:
        return 2**64  # too large in any case
    return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
