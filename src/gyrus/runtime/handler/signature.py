"""The named arguments that a method declares."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gyrus.contract.replica import Reason
from gyrus.runtime.handler.annotations import annotations_of
from gyrus.runtime.handler.failure import LoadFailed

PREDICT = ("payload", "query_params", "headers", "request_id", "path", "cancelled")
POST_PREDICT = ("response", "payload", "query_params", "headers", "request_id", "path")
INIT = ("config", "models")


MODELS = "models"


@dataclass(frozen=True, slots=True)
class Signature:
    """The arguments that a method takes by name."""

    names: tuple[str, ...]
    optional: frozenset[str]
    """Names of the arguments that have a default."""
    hints: dict[str, Any]
    """Annotations by name, without those that cannot be resolved."""
    unresolved: dict[str, str]
    """The reasons why annotations cannot be resolved, by name."""
    is_async: bool
    """True if a call returns an awaitable or an async generator."""

    def wants(self, name: str) -> bool:
        return name in self.names

    def given(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of the arguments that it takes. Raises LoadFailed if it requires missing models."""
        if self.wants(MODELS) and arguments[MODELS] is None and MODELS not in self.optional:
            raise LoadFailed(
                Reason.IMPORT,
                "the handler requires the argument 'models', and the specification names none; write "
                "handler.models, for example s3://my-bucket/models/iris",
            )
        return {name: value for name, value in arguments.items() if self.wants(name)}


def signature_of(method: Callable[..., Any], known: Collection[str]) -> Signature:
    """Inspect a method. Raises LoadFailed if it requires an argument that is not among the ``known`` ones."""
    parameters = _parameters(method)
    for parameter in parameters:
        _check(method, parameter, known)
    taken = [parameter for parameter in parameters if parameter.name in known and _is_named(parameter)]
    annotations = annotations_of(method)
    return Signature(
        names=tuple(parameter.name for parameter in taken),
        optional=frozenset(p.name for p in taken if p.default is not p.empty),
        hints=annotations.hints,
        unresolved=annotations.faults,
        is_async=_is_async(method),
    )


def shown_signature_of(method: Callable[..., Any], known: Collection[str]) -> Signature:
    """Inspect a method that must show its arguments: without a name for them, it would get none.

    Raises LoadFailed.
    """
    if is_variadic(method):
        shown = ", ".join(map(str, _parameters(method)))
        raise LoadFailed(
            Reason.IMPORT,
            f"{method.__qualname__}({shown}) does not show which arguments it takes; name them "
            f"({', '.join(known)}), or if it is a decorator's function, add @functools.wraps to that",
        )
    return signature_of(method, known)


def is_variadic(method: Callable[..., Any]) -> bool:
    """Return True if the method has ``*args`` or ``**kwargs``, and nothing else."""
    kinds = {parameter.kind for parameter in _parameters(method)}
    return bool(kinds) and kinds <= {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def _parameters(method: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(method).parameters.values())
    except ValueError:  # the method is not written in Python
        return [inspect.Parameter("payload", inspect.Parameter.KEYWORD_ONLY)]


def _check(method: Callable[..., Any], parameter: inspect.Parameter, known: Collection[str]) -> None:
    needed = parameter.default is parameter.empty and parameter.kind not in (
        parameter.VAR_POSITIONAL,
        parameter.VAR_KEYWORD,
    )
    if needed and (parameter.name not in known or not _is_named(parameter)):
        choice = ", ".join(known) or "no argument"
        raise LoadFailed(
            Reason.IMPORT,
            f"{method.__qualname__}() requires the argument {parameter.name!r}, which does not exist; "
            f"{'it can take' if len(known) > 1 else 'it can only take'} {choice}",
        )


def _is_named(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)


def _is_async(method: Callable[..., Any]) -> bool:
    # A decorator may hide a coroutine function behind a plain one, or the other way round.
    return any(
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
        for function in (method, inspect.unwrap(method))
    )


def is_coroutine(method: Callable[..., Any]) -> bool:
    """Return True for ``async def`` without ``yield``, even behind a decorator."""
    return inspect.iscoroutinefunction(method) or inspect.iscoroutinefunction(inspect.unwrap(method))


def admits_none(hint: Any) -> bool:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return types.NoneType in typing.get_args(hint)
    return hint in (Any, None, types.NoneType, object)
