"""All places where a value does not fit a type, and the refusals that name them.

msgspec stops at the first place; users need all of them.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import orjson

from gyrus.contract.problem import BAD_REQUEST, INVALID_PAYLOAD
from gyrus.runtime.server.problems import RequestRefused

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
MOST = 100
MOST_FAULTS = 50
ANYTHING = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class PayloadFault:
    path: str
    """Place in the payload, as in ``$.flowers[2].petal_width``; ``$`` is the payload itself."""
    message: str

    @classmethod
    def at(cls, location: Sequence[str | int], message: str) -> PayloadFault:
        steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        return cls("$" + "".join(steps), message)

    @classmethod
    def of(cls, error: Exception, path: str = "$") -> PayloadFault:
        """Parse a message of msgspec, which ends with the place of the fault."""
        match = _PLACE.fullmatch(str(error))
        message, place = match.groups() if match else (str(error), "")
        return cls(path + (place or ""), message)


def find_faults(value: Any, hint: Any, *, strict: bool, path: str = "$") -> Iterator[PayloadFault]:
    """Yield the faults of the fields and items; if they have none, the first fault of the value itself."""
    try:
        msgspec.convert(value, hint, strict=strict)
        return
    except msgspec.ValidationError as error:
        first = PayloadFault.of(error, path)
    deeper = list(_deeper(value, hint, strict=strict, path=path))
    yield from deeper or (first,)


def _deeper(value: Any, hint: Any, *, strict: bool, path: str) -> Iterator[PayloadFault]:
    if typing.get_origin(hint) is list and isinstance(value, list):
        (item,) = typing.get_args(hint)
        for number, entry in enumerate(cast("list[Any]", value)[:MOST]):
            yield from find_faults(entry, item, strict=strict, path=f"{path}[{number}]")
    elif isinstance(value, dict) and (fields := _fields(hint)):
        entries = cast("dict[str, Any]", value)
        for name, (kind, required) in fields.items():
            if name in entries:
                yield from find_faults(entries[name], kind, strict=strict, path=f"{path}.{name}")
            elif required:
                yield PayloadFault(f"{path}.{name}", "the field is missing")


def _fields(hint: Any) -> dict[str, tuple[Any, bool]]:
    """Return type and required flag of each field by its name in JSON. Empty for a type without fields."""
    if not isinstance(hint, type):
        return {}
    if typing.is_typeddict(hint):
        required = cast("frozenset[str]", hint.__required_keys__)  # type: ignore[attr-defined]
        return {name: (kind, name in required) for name, kind in _hints(hint).items()}
    if dataclasses.is_dataclass(hint):
        kinds = _hints(hint)
        return {f.name: (kinds[f.name], _has_no_default(f)) for f in dataclasses.fields(hint) if f.init}
    if issubclass(hint, msgspec.Struct):
        return {f.encode_name: (f.type, f.required) for f in msgspec.structs.fields(hint)}
    return {}


def _has_no_default(field: Any) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _hints(hint: Any) -> dict[str, Any]:
    return typing.get_type_hints(hint)


def refuse(faults: Sequence[PayloadFault]) -> RequestRefused:
    shown = "; ".join(f"{fault.path}: {fault.message}" for fault in faults[:5])
    more = f"; and {len(faults) - 5} more" if len(faults) > 5 else ""
    listed = [{"path": fault.path, "message": fault.message} for fault in faults[:MOST_FAULTS]]
    return RequestRefused(
        INVALID_PAYLOAD, f"The payload does not fit: {shown}{more}.", more={"errors": listed}
    )


def json_refusal(error: Exception, body: bytes) -> RequestRefused:
    """Build the refusal of a body that msgspec cannot decode."""
    if isinstance(error, msgspec.ValidationError):  # a number that Python does not have: 1e999
        return refuse([PayloadFault.of(error)])
    if isinstance(error, RecursionError):
        return RequestRefused(BAD_REQUEST, "The body's JSON is nested too deeply; send it flatter.")
    return RequestRefused(BAD_REQUEST, f"The body is not JSON: {_with_line(error, body)}.")


def _with_line(error: Exception, body: bytes) -> str:
    """Return orjson's message, which has the line and the column, unless orjson is content."""
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        return str(fault)
    return str(error)


def missing_payload() -> RequestRefused:
    return RequestRefused(INVALID_PAYLOAD, "The request has no body; send the payload as JSON.")
