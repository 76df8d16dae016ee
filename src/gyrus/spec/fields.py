"""The fields of a model: their choices, limits, examples and places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gyrus.spec.faults import Path


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one model, by their paths."""

    root: type[BaseModel]

    def field_at(self, path: Path) -> FieldInfo | None:
        model, field = self.root, None
        for part in path:
            if not model:
                return None
            if isinstance(part, int):  # an index: the field has the entries' model
                continue
            field = model.model_fields.get(part)
            model = model_in(field.annotation) if field else None
        return field

    def model_at(self, path: Path) -> type[BaseModel] | None:
        field = self.field_at(path)
        return self.root if not path else model_in(field.annotation) if field else None

    def homes(self, name: str) -> Iterator[Path]:
        """Yield every place in the specification that has a field of this name."""
        yield from _homes(self.root, name, ())

    def choices(self, path: Path) -> list[str]:
        field = self.field_at(path)
        return list(_literals(field.annotation)) if field else []

    def range(self, path: Path, context: Mapping[str, Any]) -> str:
        """Return the limits as ``from 1 to 64``, read from the field: an error has only the one it hit."""
        limits: dict[str, Any] = dict(context)
        field = self.field_at(path)
        for limit in field.metadata if field else ():
            limits |= {
                name: getattr(limit, name) for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)
            }
        if "ge" in limits and "le" in limits:
            return f"from {limits['ge']:g} to {limits['le']:g}"
        words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
        return " and ".join(f"{word} {limits[name]:g}" for name, word in words.items() if name in limits)

    def example(self, path: Path) -> Any:
        """Return a valid value of the field. Returns None if there is none to show."""
        field = self.field_at(path)
        if field is None:
            return None
        if field.examples:
            return field.examples[0]
        if isinstance(field.default, (int, float, str)):
            return field.default
        if inner := model_in(field.annotation):
            return _section(inner)
        return next((limit.ge for limit in field.metadata if hasattr(limit, "ge")), None)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model of a section or of a list's entries. Returns None for other fields."""
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _section(model: type[BaseModel]) -> dict[str, Any]:
    """Return the required fields of a section; its first field if none is required."""
    fields = model.model_fields
    needed = {
        name: field.examples[0] for name, field in fields.items() if field.examples and field.is_required()
    }
    return needed or {name: _shown_default(field) for name, field in list(fields.items())[:1]}


def _shown_default(field: FieldInfo) -> Any:
    return field.default if isinstance(field.default, (bool, int, float, str)) else "…"


def _homes(model: type[BaseModel], name: str, path: Path) -> Iterator[Path]:
    for own, field in model.model_fields.items():
        if own == name:
            yield (*path, own)
        inner = model_in(field.annotation)
        if inner and get_origin(field.annotation) is not tuple:
            yield from _homes(inner, name, (*path, own))


def _literals(annotation: Any) -> Iterator[str]:
    """Yield the words that a field allows, also if it allows null as well."""
    for choice in get_args(annotation):
        if isinstance(choice, str):
            yield choice
        else:
            yield from _literals(choice)
