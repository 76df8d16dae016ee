"""Trees as Helm's templates: YAML with an expression wherever a value comes from the user. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import cast

from gyrus.cluster.chart.merging import ABSENT, Choice, Tree, may_be_absent


class Raw(str):
    """An expression whose result is printed without quotes: a number, or a value as JSON."""

    __slots__ = ()


_EXPRESSION = re.compile(r"\{\{ ([^{}]*) \}\}")
_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_INDENT = "  "


def value(path: str) -> str:
    """Return the expression of a value that is a text."""
    return f"{{{{ .Values.{path} }}}}"


def number(path: str) -> Raw:
    """Return the expression of a value that is a number."""
    return Raw(f"{{{{ .Values.{path} | int }}}}")


def documents(manifests: Tree) -> str:
    """Return the template of a list of objects. Raises ValueError."""
    return "\n".join(line for item in manifests for line in _document(item)) + "\n"


def _document(item: Tree) -> Iterator[str]:
    if item is ABSENT:
        return
    if isinstance(item, Choice):
        yield from _chosen(item, _document)
        return
    yield "---"
    yield from _mapping(item, "")


def _mapping(tree: dict[str, Tree], indent: str) -> Iterator[str]:
    if all(may_be_absent(each) for each in tree.values()):
        raise ValueError(f"a mapping may become empty, which YAML reads as null: {', '.join(tree)}")
    for key, item in tree.items():
        yield from _field(key, item, indent)


def _field(key: str, item: Tree, indent: str) -> Iterator[str]:
    name = _scalar(key)
    if item is ABSENT:
        return
    if isinstance(item, Choice):
        yield from _chosen(item, lambda each: _field(key, each, indent))
    elif isinstance(item, dict) and item:
        yield f"{indent}{name}:"
        yield from _mapping(cast("dict[str, Tree]", item), indent + _INDENT)
    elif isinstance(item, list) and item:
        yield f"{indent}{name}:"
        for entry in cast("list[Tree]", item):
            yield from _entry(entry, indent)
    else:
        yield f"{indent}{name}: {_scalar(item)}"


def _entry(item: Tree, indent: str) -> Iterator[str]:
    if item is ABSENT:
        return
    if isinstance(item, Choice):
        yield from _chosen(item, lambda each: _entry(each, indent))
    elif isinstance(item, dict) and item:
        first, *others = _mapping(cast("dict[str, Tree]", item), indent + _INDENT)
        if first.lstrip().startswith("{{"):
            raise ValueError(f"the first field of an entry depends on a condition: {first.strip()}")
        yield f"{indent}- {first.lstrip()}"
        yield from others
    else:
        yield f"{indent}- {_scalar(item)}"


def _chosen(choice: Choice, lines: Callable[[Tree], Iterator[str]]) -> Iterator[str]:
    condition, holds, fails = choice.condition, choice.holds, choice.fails
    if holds is ABSENT:
        condition, holds, fails = f"not ({condition})", fails, ABSENT
    yield f"{{{{- if {condition} }}}}"
    yield from lines(holds)
    if fails is not ABSENT:
        yield "{{- else }}"
        yield from lines(fails)
    yield "{{- end }}"


def _scalar(item: Tree) -> str:
    """Return a value in one line. A text of the user is quoted by the template."""
    if isinstance(item, Raw):
        return str(item)
    if isinstance(item, str):
        if whole := _EXPRESSION.fullmatch(item):
            return f"{{{{ {whole[1]} | quote }}}}"
        if _PLAIN.fullmatch(item) and item.lower() not in _WORDS:
            return item
    return json.dumps(item, ensure_ascii=False)
