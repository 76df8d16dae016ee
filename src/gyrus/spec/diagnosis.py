"""What pydantic found wrong with one API, in the words of the YAML."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gyrus.spec.api import CONTRADICTIONS, ApiSpec, source_fault
from gyrus.spec.document import Value, fields_of
from gyrus.spec.faults import Contradiction, Path, dotted, nearest

SOURCES = ("handler", "model", "process", "pod")
ELSEWHERE = {
    "model": ("is not available yet: this version serves no model without code", "write a handler"),
    "pod": ("works on Kubernetes only, and this platform runs on one machine", "write a process"),
}
LATER_KINDS = ("AsyncAPI", "BatchAPI", "TaskAPI", "TrafficSplitter")

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
    """The specification of one API, or all that is wrong with it.

    ``written``: where the data came from, to cite it as it was written.
    """
    if not isinstance(data, dict):
        return [_not_a_mapping(data, written)]
    fields = fields_of(data)  # pyright: ignore[reportUnknownArgumentType] -- it may hold anything
    if fields.get("kind") in LATER_KINDS:
        return [_later_kind(fields["kind"])]
    try:
        return ApiSpec.model_validate(data)
    except ValidationError as error:
        found = [fault for line in error.errors() for fault in _translate(line, written)]
        source = None if _misspells_source(fields) else _source_fault(fields)
        return [*found, source] if source and source not in found else found


def _source_fault(fields: Mapping[str, Any]) -> Contradiction | None:
    return source_fault([name for name in SOURCES if fields.get(name) is not None])


def _misspells_source(fields: Mapping[str, Any]) -> bool:
    """An unknown field was meant to be the one that answers: that is told already."""
    return any(nearest(name, SOURCES) for name in fields.keys() - ApiSpec.model_fields.keys())


def _not_a_mapping(data: Any, written: Value | None) -> Contradiction:
    message = f"an API must be a mapping, not {_cite(data, written)}"
    return Contradiction(path=(), message=message, remedy="write - name: my-api")


def _later_kind(kind: str) -> Contradiction:
    message = f"{kind} is not supported yet by this version"
    return Contradiction(path=("kind",), message=message, remedy="write RealtimeAPI")


def _translate(line: ErrorDetails, root: Value | None) -> Iterator[Contradiction]:
    kind, path = line["type"], line["loc"]
    at_key = path[-1:] == ("[key]",)
    path = path[:-1] if at_key else path
    context = line.get("ctx", {})
    if kind == "default_factory_not_called":  # another field is wrong, and is told
        return
    if kind == CONTRADICTIONS:
        for fault in context[CONTRADICTIONS]:
            yield Contradiction(
                path=(*path, *fault.path), message=fault.message, remedy=fault.remedy, at_key=fault.at_key
            )
        return
    if kind == "extra_forbidden":
        yield _unknown_field(path)
        return
    cited = _cite(line["input"], root.at(path) if root and not at_key else None)
    message, remedy = _explain(line, path, cited, context)
    yield Contradiction(path=path, message=message, remedy=remedy, at_key=at_key)


def _explain(line: ErrorDetails, path: Path, cited: str, context: Mapping[str, Any]) -> tuple[str, str]:
    kind, found = line["type"], line["input"]
    if kind == "missing":
        return "is missing", _example(path)
    if kind == "value_error":
        message, _, remedy = str(context["error"]).partition("; ")
        return f"{cited} {message}", remedy
    if kind == "literal_error":
        return _no_choice(path, found, cited)
    if kind in _LIMITS:
        return f"must be {_range(path, context)}, not {cited}", ""
    if kind == "too_short":
        return "must not be empty", _example(path)
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, not {cited}", _retype(kind, path, found, cited)
    return f"{cited} is wrong: {line['msg']}", _example(path)


def _retype(kind: str, path: Path, found: Any, cited: str) -> str:
    """How to write what was found so that it has the right type."""
    if kind == "string_type" and isinstance(found, (bool, int, float)):
        return f'put it in quotes: "{cited.split()[-1]}"'
    if kind == "string_type" and found is None:
        return 'write "" for an empty text'
    if kind in {"tuple_type", "list_type"} and isinstance(found, str):
        try:
            return f"write {path[-1]}: {_flow(shlex.split(found))}"
        except ValueError:
            return _example(path)
    if (
        isinstance(found, str)
        and re.fullmatch(r"-?\d+(\.\d+)?", found)
        and kind in {"int_type", "float_type"}
    ):
        return f"remove the quotes: {found}"
    return _example(path)


def _no_choice(path: Path, found: Any, cited: str) -> tuple[str, str]:
    choices = _choices(path)
    close = nearest(found, choices) if isinstance(found, str) else None
    remedy = f'did you mean "{close}"?' if close else f"write {' or '.join(choices)}"
    return f"{cited} is not a {path[-1]}", remedy


def _unknown_field(path: Path) -> Contradiction:
    name = str(path[-1])
    if len(path) == 1 and name in ELSEWHERE:
        message, remedy = ELSEWHERE[name]
        return Contradiction(path=path, message=message, remedy=remedy, at_key=True)
    model = _model_at(path[:-1])
    known = list(model.model_fields) if model else []
    remedy = f"known here: {', '.join(known)}"
    if close := nearest(name, known):
        remedy = f'did you mean "{close}"?'
    elif homes := [home for home in _homes(ApiSpec, name, ()) if home != path]:
        remedy = f"it belongs at {' or '.join(map(dotted, homes))}"
    return Contradiction(path=path, message="unknown field", remedy=remedy, at_key=True)


# What the models know of a field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _field_at(path: Path) -> FieldInfo | None:
    model, field = ApiSpec, None
    for part in path:
        if not model:
            return None
        if isinstance(part, int):  # one of a list: the model is that of its entries
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
    return field


def _model_at(path: Path) -> type[BaseModel] | None:
    field = _field_at(path)
    return ApiSpec if not path else _model_in(field.annotation) if field else None


def _homes(model: type[BaseModel], name: str, path: Path) -> Iterator[Path]:
    """Every place in the specification where a field of this name belongs."""
    for own, field in model.model_fields.items():
        if own == name:
            yield (*path, own)
        inner = _model_in(field.annotation)
        if inner and get_origin(field.annotation) is not tuple:
            yield from _homes(inner, name, (*path, own))


def _choices(path: Path) -> list[str]:
    field = _field_at(path)
    return list(_literals(field.annotation)) if field else []


def _literals(annotation: Any) -> Iterator[str]:
    """The words that a field may be, whether or not it may be nothing, too."""
    for choice in get_args(annotation):
        if isinstance(choice, str):
            yield choice
        else:
            yield from _literals(choice)


def _range(path: Path, context: Mapping[str, Any]) -> str:
    """``from 1 to 64``; the limits are read from the field, since an error names only the one it hit."""
    limits: dict[str, Any] = dict(context)
    field = _field_at(path)
    for limit in field.metadata if field else ():
        limits |= {name: getattr(limit, name) for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)}
    if "ge" in limits and "le" in limits:
        return f"from {limits['ge']:g} to {limits['le']:g}"
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    return " and ".join(f"{word} {limits[name]:g}" for name, word in words.items() if name in limits)


def _example(path: Path) -> str:
    field = _field_at(path)
    if field is None:
        return ""
    value: Any = None
    if field.examples:
        value = field.examples[0]
    elif isinstance(field.default, (int, float, str)):
        value = field.default
    elif inner := _model_in(field.annotation):
        value = {
            name: f.examples[0] for name, f in inner.model_fields.items() if f.examples and f.is_required()
        }
        value = value or {name: _shown_default(f) for name, f in list(inner.model_fields.items())[:1]}
    elif limits := [limit.ge for limit in field.metadata if hasattr(limit, "ge")]:
        value = limits[0]
    return "" if value is None else f"write for example {path[-1]}: {_flow(value)}"


def _shown_default(field: FieldInfo) -> Any:
    return field.default if isinstance(field.default, (bool, int, float, str)) else "…"


def _flow(value: Any) -> str:
    """A value as YAML writes it in one line."""
    if isinstance(value, dict):
        items: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in items.items()) + "}"
    if isinstance(value, (list, tuple)):
        entries: list[Any] = list(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return "[" + ", ".join(map(_flow, entries)) + "]"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z./$_][-\w./%$]*|\d+%", value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _cite(found: Any, written: Value | None) -> str:
    """A value that was found, short, as it was written where that is known."""
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
