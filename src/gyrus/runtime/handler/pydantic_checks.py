"""Checks by pydantic, of version 2 or 1, for annotations that contain its models.

The user's code has imported pydantic if it has models; gyrus itself does not need it. Version 1 is a package
of its own, or ``pydantic.v1`` in version 2.
"""

from __future__ import annotations

import dataclasses
import sys
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from gyrus.contract.problem import BAD_REQUEST
from gyrus.runtime.handler.faults import ANYTHING, PayloadFault, json_refusal, missing_payload, refuse
from gyrus.runtime.server.problems import RequestRefused

Schema = tuple[dict[str, Any], dict[str, Any]]


def pydantic_check(hint: Any) -> PydanticCheck | OldPydanticCheck | None:
    """Build the check of an annotation with models of pydantic. Returns None if it has none.

    Raises an error of pydantic if it cannot check the annotation.
    """
    parts = list(_parts(hint, set()))
    for name in ("pydantic.v1", "pydantic"):
        module = sys.modules.get(name)
        if module is None or not any(_is_of(part, module) for part in parts):
            continue
        return _new_check(module, hint) if hasattr(module, "TypeAdapter") else _old_check(module, hint)
    return None


@dataclass(frozen=True, slots=True)
class PydanticCheck:
    """A check by pydantic 2."""

    adapter: Any
    error: type[Exception]
    takes_text: bool = False

    def json(self, body: bytes) -> Any:
        if b"NaN" in body or b"Infinity" in body:  # pydantic reads them as numbers; JSON has no such numbers
            _decoded(body)
        try:
            return self.adapter.validate_json(body)
        except self.error as error:
            raise _refusal(error) from None

    def plain(self, value: Any) -> Any:
        try:
            return self.adapter.validate_python(value)
        except self.error as error:
            raise _refusal(error) from None

    def missing(self) -> Any:
        raise missing_payload()

    def schema(self, reference: str) -> Schema:
        schema = self.adapter.json_schema(ref_template=reference.replace("{name}", "{model}"))
        return schema, schema.pop("$defs", {})


@dataclass(frozen=True, slots=True)
class OldPydanticCheck:
    """A check by pydantic 1."""

    model: Any
    """A model whose root is the payload."""
    error: type[Exception]
    takes_text: bool = False

    def json(self, body: bytes) -> Any:
        return self.plain(_decoded(body))

    def plain(self, value: Any) -> Any:
        try:
            return self.model(__root__=value).__root__
        except self.error as error:
            raise _refusal(error, above=1) from None

    def missing(self) -> Any:
        raise missing_payload()

    def schema(self, reference: str) -> Schema:
        schema = self.model.schema(ref_template=reference.replace("{name}", "{model}"))
        return schema, schema.pop("definitions", {})


def _decoded(body: bytes) -> Any:
    """Decode JSON of any type. Raises RequestRefused."""
    try:
        return ANYTHING.decode(body)
    except (ValueError, RecursionError) as error:
        raise json_refusal(error, body) from None


def _new_check(pydantic: ModuleType, hint: Any) -> PydanticCheck:
    adapter: Any = pydantic.TypeAdapter(hint)
    if not getattr(adapter, "pydantic_complete", True):  # else each request would fail
        adapter.rebuild(raise_errors=True)
    return PydanticCheck(adapter, pydantic.ValidationError)


def _old_check(pydantic: ModuleType, hint: Any) -> OldPydanticCheck:
    model = pydantic.create_model("Payload", __root__=(hint, ...))
    if pydantic.BaseModel in getattr(hint, "__mro__", ()):
        hint.update_forward_refs()
    return OldPydanticCheck(model, pydantic.ValidationError)


def _refusal(error: Any, above: int = 0) -> RequestRefused:
    """Build the refusal. ``above``: number of steps to the payload that each place begins with."""
    entries = error.errors()
    faults = [PayloadFault.at(entry["loc"][above:], entry["msg"]) for entry in entries]
    if all(entry["type"] == "json_invalid" for entry in entries):
        return RequestRefused(BAD_REQUEST, f"The body is not JSON: {faults[0].message}.")
    return refuse(faults)


def _is_of(part: Any, pydantic: ModuleType) -> bool:
    """Return True if this version of pydantic made the type or the constraint."""
    if isinstance(part, type) and issubclass(part, pydantic.BaseModel):
        return True
    if pydantic.__name__ == "pydantic.v1":
        return type(part).__module__.startswith("pydantic.v1.")
    return (
        hasattr(part, "__pydantic_validator__")
        or hasattr(part, "__pydantic_model__")
        or type(part).__module__.startswith(("pydantic.", "annotated_types"))
    )


def _parts(hint: Any, seen: set[int]) -> Iterator[Any]:
    """Yield the annotation, its arguments, and the annotations of the fields of its classes."""
    if id(hint) in seen:
        return
    seen.add(id(hint))
    yield hint
    for argument in (*typing.get_args(hint), *getattr(hint, "__metadata__", ()), *_fields(hint)):
        yield from _parts(argument, seen)


def _fields(hint: Any) -> list[Any]:
    if not (dataclasses.is_dataclass(hint) or typing.is_typeddict(hint) or hasattr(hint, "_fields")):
        return []
    try:
        return list(typing.get_type_hints(hint, include_extras=True).values())
    except Exception:  # the check will report it
        return []
