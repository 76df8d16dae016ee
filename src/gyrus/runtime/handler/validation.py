"""Checks of payloads against annotations.

pydantic checks annotations that contain its models, msgspec all others (dataclasses, TypedDict, Struct,
containers and scalars).
"""

from __future__ import annotations

import typing
from typing import Any, Protocol

import msgspec
import msgspec.inspect

from gyrus.runtime.handler.faults import (
    ANYTHING,
    PayloadFault,
    find_faults,
    json_refusal,
    missing_payload,
    refuse,
)
from gyrus.runtime.handler.pydantic_checks import pydantic_check
from gyrus.runtime.handler.schema_formats import add_formats
from gyrus.runtime.server.problems import RequestRefused


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
    check = _check_or_reason(hint)
    return None if isinstance(check, str) else check


def fault_of(hint: Any) -> str:
    """Return the reason why an annotation cannot be checked. Returns "" if it can be, or allows any value."""
    check = _check_or_reason(hint)
    return check if isinstance(check, str) else ""


def _check_or_reason(hint: Any) -> Check | str:
    if hint is Any or hint is object:
        return ""
    shown = getattr(hint, "__qualname__", None) or str(hint)
    try:
        check = pydantic_check(hint)
        if check is not None:
            return check
        if _is_beyond_msgspec(msgspec.inspect.type_info(hint)):
            return f"the annotation {shown} contains a class that cannot be made from JSON"
        return MsgspecCheck(hint)
    except Exception as error:  # as many as there are ways to annotate a field
        reason = str(error).partition("\n")[0]
        return f"the annotation {shown} cannot be checked ({type(error).__name__}: {reason})"


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
            raise json_refusal(error, body) from None

    def plain(self, value: Any) -> Any:
        try:
            return msgspec.convert(value, self._hint, strict=False)
        except msgspec.ValidationError as error:
            raise self._refuse(value, error, strict=False) from None

    def missing(self) -> Any:
        raise missing_payload()

    def schema(self, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
        (schema,), components = msgspec.json.schema_components([self._hint], ref_template=reference)
        add_formats(msgspec.inspect.type_info(self._hint), schema, components)
        return schema, components

    def _refuse_json(self, body: bytes, error: Exception) -> RequestRefused:
        try:
            value = ANYTHING.decode(body)
        except (ValueError, RecursionError) as fault:
            return json_refusal(fault, body)
        return self._refuse(value, error, strict=True)

    def _refuse(self, value: Any, error: Exception, *, strict: bool) -> RequestRefused:
        return refuse(list(find_faults(value, self._hint, strict=strict)) or [PayloadFault.of(error)])


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
