"""The annotations of a method, each resolved by itself."""

from __future__ import annotations

import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Annotations:
    """The annotations that can be resolved, and the reasons why others cannot."""

    hints: dict[str, Any] = field(default_factory=dict[str, Any])
    faults: dict[str, str] = field(default_factory=dict[str, str])


def annotations_of(method: Callable[..., Any]) -> Annotations:
    """Resolve the annotations of a method, behind its decorators."""
    function = inspect.unwrap(method)
    try:
        return Annotations(typing.get_type_hints(function, include_extras=True))
    except Exception:
        return _one_by_one(function)


def _one_by_one(function: Callable[..., Any]) -> Annotations:
    found = Annotations()
    names = getattr(function, "__globals__", {})
    for name, annotation in _unresolved(function).items():
        holder = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found.hints[name] = typing.get_type_hints(holder, names, include_extras=True)[name]
        except Exception as error:  # whatever evaluating the annotation raises
            found.faults[name] = f"{type(error).__name__}: {error}"
    return found


def _unresolved(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotations as they are written. Python 3.14 would evaluate all of them together."""
    if sys.version_info >= (3, 14):
        import annotationlib  # pyright: ignore[reportMissingImports] -- of Python 3.14

        form = annotationlib.Format.FORWARDREF  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return annotationlib.get_annotations(function, format=form)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("dict[str, Any]", getattr(function, "__annotations__", {}))
