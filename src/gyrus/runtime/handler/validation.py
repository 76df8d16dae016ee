"""Checks of payloads against annotations.

pydantic checks annotations that contain its models, msgspec all others (dataclasses, TypedDict, Struct,
containers and scalars).
"""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import msgspec.inspect

from gyrus.contract.problem import BAD_REQUEST, INVALID_PAYLOAD
from gyrus.runtime.handler.faults import PayloadFault, find_faults
from gyrus.runtime.server.problems import RequestRefused

MOST_FAULTS = 50


class Check(Protocol):
    """A reader and checker of one type."""

    @property
    def takes_text(self) -> bool:
        """True if text or bytes may fit the type."""
        ...

    def json(self, body: bytes) -> Any:
        """Decode a body of JSON. Raises RequestRefused."""
        ...

    def plain(self, value: Any) -> Any:
        """Convert a value that came from a form, so that its numbers are text. Raises RequestRefused."""
        ...

    def missing(self) -> Any:
        """Return the value of an empty body. Raises RequestRefused."""
        ...

    def schema(self, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the type's JSON Schema and the schemas by name to which it refers.

        ``reference``: template of a reference, with ``{name}`` for the name.
        """
        ...


def check_for(hint: Any) -> Check | None:
    """Build the check of an annotation. Returns None if it allows any value or cannot be checked."""
    if hint is Any or hint is object:
        return None
    if _is_of_pydantic(hint):
        return _pydantic_check(hint)
    try:
        return None if _is_beyond_msgspec(msgspec.inspect.type_info(hint)) else MsgspecCheck(hint)
    except TypeError:
        return None


def refuse(faults: Sequence[PayloadFault]) -> RequestRefused:
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    listed = [{"path": fault.path, "message": fault.message} for fault in faults[:MOST_FAULTS]]
    return RequestRefused(
        INVALID_PAYLOAD, f"The payload does not fit: {shown}{more}.", more={"errors": listed}
    )


_ANYTHING = msgspec.json.Decoder()


def json_refusal(error: Exception) -> RequestRefused:
    """Build the refusal of a body that msgspec cannot decode."""
    if isinstance(error, msgspec.ValidationError):  # a number that Python does not have: 1e999
        return refuse([PayloadFault.of(error)])
    if isinstance(error, UnicodeDecodeError):
        return RequestRefused(BAD_REQUEST, f"The body is not JSON: it is not UTF-8 ({error}).")
    if isinstance(error, RecursionError):
        return RequestRefused(BAD_REQUEST, "The body's JSON is nested too deeply; send it flatter.")
    return RequestRefused(BAD_REQUEST, f"The body is not JSON: {error}.")


class MsgspecCheck:
    """A check by msgspec."""

    def __init__(self, hint: Any) -> None:
        self._hint = hint
        self._decoder = msgspec.json.Decoder(hint)
        self.takes_text = any(kind in (str, bytes) for kind in (hint, *typing.get_args(hint)))

    def json(self, body: bytes) -> Any:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            raise self._refuse_json(body, error) from None
        except (ValueError, RecursionError) as error:
            raise json_refusal(error) from None

    def plain(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._hint, strict=False)
        except msgspec.ValidationError as error:
            raise self._refuse(value, error, strict=False) from None

    def missing(self) -> Any:
        raise RequestRefused(INVALID_PAYLOAD, "The request has no body; send the payload as JSON.")

    def schema(self, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
        (schema,), components = msgspec.json.schema_components([self._hint], ref_template=reference)
        return schema, components

    def _refuse_json(self, body: bytes, error: Exception) -> RequestRefused:
        try:
            value = _ANYTHING.decode(body)
        except (ValueError, RecursionError) as fault:
            return json_refusal(fault)
        return self._refuse(value, error, strict=True)

    def _refuse(self, value: Any, error: Exception, *, strict: bool) -> RequestRefused:
        return refuse(list(find_faults(value, self._hint, strict=strict)) or [PayloadFault.of(error)])


@dataclass(frozen=True, slots=True)
class PydanticCheck:
    """A check by pydantic."""

    adapter: Any
    error: type[Exception]
    takes_text: bool = False

    def json(self, body: bytes) -> Any:
        try:
            return self.adapter.validate_json(body)
        except self.error as error:
            raise _pydantic_refusal(error) from None

    def plain(self, value: Any) -> Any:
        try:
            return self.adapter.validate_python(value)
        except self.error as error:
            raise _pydantic_refusal(error) from None

    def missing(self) -> Any:
        raise RequestRefused(INVALID_PAYLOAD, "The request has no body; send the payload as JSON.")

    def schema(self, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
        schema = self.adapter.json_schema(ref_template=reference.replace("{name}", "{model}"))
        return schema, schema.pop("$defs", {})


def _pydantic_check(hint: Any) -> PydanticCheck:
    pydantic = sys.modules["pydantic"]
    return PydanticCheck(pydantic.TypeAdapter(hint), pydantic.ValidationError)


def _pydantic_refusal(error: Any) -> RequestRefused:
    faults = [PayloadFault.at(entry["loc"], entry["msg"]) for entry in error.errors(include_url=False)]
    if all(entry["type"] == "json_invalid" for entry in error.errors(include_url=False)):
        return RequestRefused(BAD_REQUEST, f"The body is not JSON: {faults[0].message}.")
    return refuse(faults)


def _is_of_pydantic(hint: Any) -> bool:
    """Return True if the annotation contains a model of pydantic."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None:  # the user's code has not imported it, so the annotation has none of its models
        return False
    return any(
        (isinstance(part, type) and issubclass(part, pydantic.BaseModel))
        or hasattr(part, "__pydantic_validator__")
        or type(part).__module__.startswith(("pydantic.", "annotated_types"))
        for part in _parts(hint)
    )


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for argument in (*typing.get_args(hint), *getattr(hint, "__metadata__", ())):
        yield from _parts(argument)


def _is_beyond_msgspec(info: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Return True if the type contains a class that cannot be made from JSON."""
    if isinstance(info, msgspec.inspect.CustomType):
        return True
    name = getattr(info, "cls", None)
    if name is not None and name in seen:
        return False
    seen |= {name}
    inner = (
        getattr(info, "item_type", None),
        getattr(info, "key_type", None),
        getattr(info, "value_type", None),
    )
    fields = (field.type for field in getattr(info, "fields", ()))
    parts = (*inner, *getattr(info, "types", ()), *getattr(info, "item_types", ()), *fields)
    return any(_is_beyond_msgspec(part, seen) for part in parts if part is not None)
