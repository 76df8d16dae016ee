"""Which of the named arguments a method declares."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from gyrus.contract.replica import Reason
from gyrus.runtime.handler.failure import LoadFailed

PREDICT = ("payload", "query_params", "headers", "request_id", "path", "cancelled")
POST_PREDICT = ("response", "payload", "query_params", "headers", "request_id", "path")
INIT = ("config",)


@dataclass(frozen=True, slots=True)
class Signature:
    """A method, and what it wants to be given by name."""

    names: tuple[str, ...]
    optional: frozenset[str]
    """Those that have a default."""
    hints: dict[str, Any]
    """Annotations, resolved as far as they can be."""
    is_async: bool
    """Calling it gives something to await."""

    def wants(self, name: str) -> bool:
        return name in self.names


def signature_of(method: Callable[..., Any], known: Collection[str]) -> Signature:
    """Raises LoadFailed where it requires what there is not."""
    parameters = _parameters(method)
    for parameter in parameters:
        _check(method, parameter, known)
    taken = [parameter for parameter in parameters if parameter.name in known and _is_named(parameter)]
    return Signature(
        names=tuple(parameter.name for parameter in taken),
        optional=frozenset(p.name for p in taken if p.default is not p.empty),
        hints=_hints(method),
        is_async=_is_async(method),
    )


def _parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(method).parameters.values())
    except ValueError:  # it is not written in Python
        return [inspect.Parameter("payload", inspect.Parameter.KEYWORD_ONLY)]


def _check(method: Callable[..., Any], parameter: inspect.Parameter, known: Collection[str]) -> None:
    needed = parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )
    if needed and (parameter.name not in known or not _is_named(parameter)):
        choice = ", ".join(known)
        raise LoadFailed(
            Reason.IMPORT,
            f"{method.__qualname__}() requires the argument {parameter.name!r}, which it cannot be given; "
            f"{'it can be given' if len(known) > 1 else 'it can only be given'} {choice}",
        )


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def _hints(method: Callable[..., Any]) -> dict[str, Any]:
    function = inspect.unwrap(method)
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # an annotation that cannot be resolved is not one that we can check
        return {}


def _is_async(method: Callable[..., Any]) -> bool:
    return any(
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        for function in (method, inspect.unwrap(method))
    )


def admits_none(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return types.NoneType in typing.get_args(hint)
    return hint in (Any, None, types.NoneType, object)
