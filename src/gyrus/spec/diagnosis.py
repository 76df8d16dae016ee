"""The faults that pydantic found in one API, in the words of the YAML."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gyrus.spec.api import CONTRADICTIONS, ApiSpec
from gyrus.spec.document import Value, fields_of
from gyrus.spec.faults import Contradiction, Path, dotted, nearest
from gyrus.spec.fields import Fields
from gyrus.spec.kinds import DEFAULT_KIND, KINDS, LATER_KINDS, model_of

ELSEWHERE = {
    "model": ("is not available yet: this version serves no model without code", "write a handler"),
}
CLUSTER_FIELDS = ("cluster_name", "region")
"""Fields that only the file of a cluster on AWS has."""

Elsewhere = Callable[[str], tuple[str, str] | None]
"""Returns the message and the remedy for a top-level field that a model does not have, by its name."""


def elsewhere_in_an_api(name: str) -> tuple[str, str] | None:
    return ELSEWHERE.get(name)


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_LIMITS = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")


def validate(data: Any, written: Value | None = None) -> ApiSpec | list[Contradiction]:
    """Return the specification of one API, or all of its faults.

    ``written``: the source of the data, so that a fault cites values as they were written.
    """
    if not isinstance(data, dict):
        return [_not_a_mapping(data, written)]
    fields = fields_of(data)  # pyright: ignore[reportUnknownArgumentType] -- it may hold anything
    if fields.get("kind") in LATER_KINDS and fields["kind"] not in KINDS:
        return [_later_kind(fields["kind"])]
    if "name" not in fields and (name := next((name for name in CLUSTER_FIELDS if name in fields), None)):
        return [_cluster_file(name)]
    model = model_of(fields.get("kind"))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = translated(error, model, written)
        return found + [fault for fault in model.missing(fields) if fault not in found]


def translated(
    error: ValidationError,
    model: type[BaseModel],
    written: Value | None = None,
    elsewhere: Elsewhere = elsewhere_in_an_api,
) -> list[Contradiction]:
    """Return the faults that pydantic found in data of any model, in the words of the YAML."""
    known = Fields(model)
    return [fault for line in error.errors() for fault in _translate(line, known, written, elsewhere)]


def _not_a_mapping(data: Any, written: Value | None) -> Contradiction:
    message = f"an API must be a mapping, not {_cite(data, written)}"
    return Contradiction(path=(), message=message, remedy="write - name: my-api")


def _later_kind(kind: str) -> Contradiction:
    message = f"{kind} is not supported yet by this version"
    return Contradiction(path=("kind",), message=message, remedy=f"write {DEFAULT_KIND}")


def _cluster_file(name: str) -> Contradiction:
    message, remedy = "is a field of cluster.yaml, not of an API", "run: gyrus cluster validate FILE"
    return Contradiction(path=(name,), message=message, remedy=remedy, at_key=True)


def _translate(
    line: ErrorDetails, fields: Fields, root: Value | None, elsewhere: Elsewhere
) -> Iterator[Contradiction]:
    kind, path = line["type"], line["loc"]
    at_key = path[-1:] == ("[key]",)
    path = path[:-1] if at_key else path
    context = line.get("ctx", {})
    if kind == "default_factory_not_called":  # another field is wrong, and is reported
        return
    if kind == CONTRADICTIONS:
        for fault in context[CONTRADICTIONS]:
            yield Contradiction(
                path=(*path, *fault.path), message=fault.message, remedy=fault.remedy, at_key=fault.at_key
            )
        return
    if kind == "too_short" and line["input"]:  # its entries are wrong, and are reported
        return
    if kind == "extra_forbidden":
        yield _unknown_field(fields, path, elsewhere)
        return
    cited = _cite(line["input"], root.at(path) if root and not at_key else None)
    message, remedy = _explain(line, fields, path, cited, context)
    yield Contradiction(path=path, message=message, remedy=remedy, at_key=at_key)


def _explain(
    line: ErrorDetails, fields: Fields, path: Path, cited: str, context: Mapping[str, Any]
) -> tuple[str, str]:
    kind, found = line["type"], line["input"]
    if kind == "missing":
        return "is missing", _example(fields, path)
    if kind == "value_error":
        message, _, remedy = str(context["error"]).partition("; ")
        return f"{cited} {message}", remedy
    if kind == "literal_error":
        return _no_choice(fields, path, found, cited)
    if kind in _LIMITS:
        return f"must be {fields.range(path, context)}, not {cited}", ""
    if kind == "too_short":
        return "must not be empty", _example(fields, path)
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {cited}", _retype(fields, kind, path, found, cited)
    return f"{cited} is wrong: {line['msg']}", _example(fields, path)


def _retype(fields: Fields, kind: str, path: Path, found: Any, cited: str) -> str:
    """Return how to write the found value so that it has the right type."""
    if kind == "string_type" and isinstance(found, (bool, int, float)):
        return f'put it in quotes: "{cited.split()[-1]}"'
    if kind == "string_type" and found is None:
        return 'write "" for an empty text'
    if kind in {"tuple_type", "list_type"} and isinstance(found, str):
        try:
            return f"write {path[-1]}: {flow(shlex.split(found))}"
        except ValueError:
            return _example(fields, path)
    if (
        isinstance(found, str)
        and re.fullmatch(r"-?\d+(\.\d+)?", found)
        and kind in {"int_type", "float_type"}
    ):
        return f"remove the quotes: {found}"
    return _example(fields, path)


def _no_choice(fields: Fields, path: Path, found: Any, cited: str) -> tuple[str, str]:
    choices = list(KINDS) if path == ("kind",) else fields.choices(path)
    close = nearest(found, choices) if isinstance(found, str) else None
    remedy = f'did you mean "{close}"?' if close else f"write {' or '.join(choices)}"
    article = "an" if str(path[-1]).startswith(tuple("aeio")) else "a"
    return f"{cited} is not {article} {path[-1]}", remedy


def _unknown_field(fields: Fields, path: Path, elsewhere: Elsewhere) -> Contradiction:
    name = str(path[-1])
    if len(path) == 1 and (found := elsewhere(name)):
        message, remedy = found
        return Contradiction(path=path, message=message, remedy=remedy, at_key=True)
    model = fields.model_at(path[:-1])
    known = list(model.model_fields) if model else []
    remedy = f"known here: {', '.join(known)}"
    if close := nearest(name, known):
        remedy = f'did you mean "{close}"?'
    elif homes := [home for home in fields.homes(name) if home != path]:
        remedy = f"it belongs at {' or '.join(map(dotted, homes))}"
    return Contradiction(path=path, message="unknown field", remedy=remedy, at_key=True)


def _example(fields: Fields, path: Path) -> str:
    value = fields.example(path)
    return "" if value is None else f"write for example {path[-1]}: {flow(value)}"


def flow(value: Any) -> str:
    """Return a value as YAML writes it in one line."""
    if isinstance(value, dict):
        items: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in items.items()) + "}"
    if isinstance(value, (list, tuple)):
        entries: list[Any] = list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return "[" + ", ".join(map(flow, entries)) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z./$_][-\w./%$]*|\d+%", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _cite(found: Any, written: Value | None) -> str:
    """Return a short citation of a found value, as it was written if that is known."""
    match found:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {written.source if written and written.source else str(found).lower()}"
        case int() | float():
            return written.source if written and written.source else f"{found}"
        case str():
            return json.dumps(_short(found), ensure_ascii=False)
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return type(found).__name__


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"
