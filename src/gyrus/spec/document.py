"""YAML as plain data, each value with its place in the text.

Plain data is data that JSON can hold. Scalars are those of YAML 1.2 (see ``scalars``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gyrus.spec.faults import START, Findings, Mark, Path, SpecError, SpecFault
from gyrus.spec.scalars import DOUBTFUL, TAG, Loader, doubt_of, plain_value
from gyrus.spec.syntax import explain

DEEPEST = 40
"""Levels of nesting. The parser itself is limited only by the C stack."""
MOST_VALUES = 50_000
"""Values of a file, with all aliases resolved."""

_SCALARS = {f"{TAG}{name}" for name in ("null", "bool", "int", "float", "str", "timestamp", "value")}
_SCALARS.add(DOUBTFUL)


@dataclass(frozen=True, slots=True)
class Value:
    """One value, with its place and the place of its key."""

    data: Any
    mark: Mark
    key_mark: Mark
    source: str | None = None
    """A scalar as it was written, without quotes."""
    children: Mapping[str | int, Value] = field(default_factory=dict[str | int, "Value"])
    doubt: tuple[str, str] | None = None
    """The fault and the remedy of a scalar that not all versions of YAML read alike."""

    def at(self, path: Path) -> Value:
        """Return the value at ``path``, or the deepest value on the way to it that exists."""
        value = self
        for part in path:
            if part not in value.children:
                break
            value = value.children[part]
        return value

    def mark_of(self, path: Path, *, key: bool = False) -> Mark:
        value = self.at(path)
        return value.key_mark if key else value.mark


def read(text: str, file: str) -> tuple[Value, list[SpecFault]]:
    """Return the document, and the faults in spite of which it can be read.

    Raises SpecError if the text is not YAML.
    """
    root = _compose(text, file)
    if root is None:
        raise SpecError(
            [SpecFault(file=file, mark=START, field="", message="the file is empty", remedy=_FIRST)]
        )
    reader = _Reader(Findings(file))
    return reader.value(root, _place(root), ()), reader.findings.faults


_FIRST = "begin with: - name: my-api"


def fields_of(data: Any) -> dict[str, Any]:
    """Return the fields of a mapping; an empty dictionary if ``data`` is no mapping."""
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _compose(text: str, file: str) -> Node | None:
    _check_encodable(text, file)
    try:
        _check_depth(text, file)
        return yaml.compose(text, Loader=Loader)
    except yaml.YAMLError as error:
        raise SpecError([explain(_portable(error, text), text, file)]) from error


def _check_encodable(text: str, file: str) -> None:
    """Refuse half a surrogate pair, which no parser of YAML takes. Raises SpecError."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        before = text[: error.start]
        mark = Mark(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        message = f"the character U+{ord(text[error.start]):04X} is not allowed in YAML"
        raise SpecError(
            [SpecFault(file=file, mark=mark, field="", message=message, remedy="remove it")]
        ) from error


def _check_depth(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            message = f"is nested more than {DEEPEST} levels deep"
            raise SpecError(
                [SpecFault(file=file, mark=_place(event), field="", message=message, remedy="flatten it")]
            )


def _portable(error: yaml.YAMLError, text: str) -> yaml.YAMLError:
    """Return the same error from PyYAML's own parser, whose messages are more precise than libyaml's."""
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as same:
        return same
    return error


class _Reader:
    """Turns nodes into values."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._values = 0
        self._open: set[int] = set()  # collections that are being read: an alias to one is a cycle

    def value(self, node: Node, key_mark: Mark, path: Path) -> Value:
        self._values += 1
        if self._values > MOST_VALUES:
            self._give_up(node, path, f"the file holds more than {MOST_VALUES} values", "check its aliases")
        if isinstance(node, ScalarNode):
            return self._scalar(node, key_mark, path)
        if id(node) in self._open:
            self._give_up(node, path, "the value contains itself", "write it without the alias")
        self._open.add(id(node))
        read = self._sequence if isinstance(node, SequenceNode) else self._mapping
        value = read(node, key_mark, path)
        self._open.discard(id(node))
        return value

    def _give_up(self, node: Node, path: Path, message: str, remedy: str) -> None:
        self.findings.add(_place(node), path, message, remedy)
        raise SpecError(self.findings.faults)

    def _sequence(self, node: Any, key_mark: Mark, path: Path) -> Value:
        self._plain(node, path, "seq")
        children: dict[str | int, Value] = {
            index: self.value(item, _place(item), (*path, index)) for index, item in enumerate(node.value)
        }
        data = [child.data for child in children.values()]
        return Value(data, _place(node), key_mark, None, children)

    def _mapping(self, node: Any, key_mark: Mark, path: Path) -> Value:
        self._plain(node, path, "map")
        children: dict[str | int, Value] = {}
        for key, item in self._pairs(node, path):
            children[key.value] = self.value(item, _place(key), (*path, key.value))
        data = {key: child.data for key, child in children.items()}
        return Value(data, _place(node), key_mark, None, children)

    def _pairs(self, node: Any, path: Path) -> Iterator[tuple[ScalarNode, Node]]:
        """Yield a mapping's fields. Merged ones (``<<``) come first, so that its own fields replace them."""
        seen: dict[str, Mark] = {}
        own: list[tuple[ScalarNode, Node]] = []
        for key, item in node.value:
            if key.tag == f"{TAG}merge":
                yield from self._merged(item, path)
            elif not isinstance(key, ScalarNode) or key.tag != f"{TAG}str":
                self._strange_key(key, path)
            elif key.value in seen:
                message = f"is given twice, first in line {seen[key.value].line}"
                self.findings.add(_place(key), (*path, key.value), message, "keep one of them")
            else:
                seen[key.value] = _place(key)
                own.append((key, item))
        yield from own

    def _merged(self, node: Any, path: Path) -> Iterator[tuple[ScalarNode, Node]]:
        if id(node) in self._open:
            self._give_up(node, path, "the value contains itself", "write it without the alias")
        if isinstance(node, MappingNode):
            yield from self._pairs(node, path)
        elif isinstance(node, SequenceNode) and all(isinstance(item, MappingNode) for item in node.value):
            for item in reversed(node.value):
                yield from self._pairs(item, path)
        else:
            self.findings.add(_place(node), (*path, "<<"), "only mappings can be merged", "write <<: *alias")

    def _strange_key(self, key: Node, path: Path) -> None:
        if isinstance(key, ScalarNode):
            name = key.value or "null"
            self.findings.add(_place(key), path, f"the key {name} is not text", f'write "{name}"')
        else:
            self.findings.add(_place(key), path, "a key must be text", "write field: value")

    def _scalar(self, node: Any, key_mark: Mark, path: Path) -> Value:
        if node.tag not in _SCALARS:
            self._unknown_tag(node, path)
        try:
            data = plain_value(node)
        except ValueError:
            tag = str(node.tag).replace(TAG, "!!")
            self.findings.add(_place(node), path, f"{node.value} is not of the type {tag}", "remove the tag")
            data = node.value
        if isinstance(data, float) and not math.isfinite(data):
            self.findings.add(_place(node), path, f"{node.value} is not a number that JSON has", "quote it")
            data = node.value
        if isinstance(data, int) and not -(2**63) <= data < 2**64:
            self.findings.add(_place(node), path, "the number has more than 64 bits", "quote it")
        return Value(data, _place(node), key_mark, node.value, doubt=doubt_of(node, data))

    def _plain(self, node: Node, path: Path, kind: str) -> None:
        if node.tag != f"{TAG}{kind}":
            self._unknown_tag(node, path)

    def _unknown_tag(self, node: Node, path: Path) -> None:
        tag = str(node.tag).replace(TAG, "!!")
        self.findings.add(_place(node), path, f"the tag {tag} is not supported", "remove the tag")


def _place(node: Any) -> Mark:
    """Return the place where a node or an event begins."""
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
