"""The move of a loaded handler's modules to another copy of the project.

A fork server imports the handler in its own working folder. Each fork has a copy of that folder, so what it
looks up by ``__file__``, and what it imports later, must come from the copy.
"""

from __future__ import annotations

import linecache
import os
import sys
from types import ModuleType
from typing import Any

from gyrus.runtime.handler.failure import note_project

_PLACES = ("__file__", "__cached__", "__path__")


def relocate(old: str, new: str) -> None:
    """Replace the folder in the module search path and in all loaded modules.

    The loaded code still names the files of the old folder, which tracebacks show as the project's.
    """
    note_project(new)
    sys.path[:] = [_moved(entry, old, new) for entry in sys.path]
    for module in tuple(sys.modules.values()):
        if _is_inside(module, old):
            _relocate_module(module, old, new)
    sys.path_importer_cache.clear()
    linecache.clearcache()
    for name, value in tuple(os.environ.items()):
        if value == old:
            os.environ[name] = new


def _is_inside(module: ModuleType, folder: str) -> bool:
    places = (getattr(module, "__file__", None), *_entries(getattr(module, "__path__", ())))
    return any(isinstance(place, str) and _moved(place, folder, "") != place for place in places)


def _entries(path: Any) -> tuple[Any, ...]:
    try:
        return tuple(path)
    except Exception:  # a module of the handler may have any object there
        return ()


def _relocate_module(module: ModuleType, old: str, new: str) -> None:
    for name in _PLACES:
        if name in vars(module):
            setattr(module, name, _moved_value(vars(module)[name], old, new))
    if spec := getattr(module, "__spec__", None):
        spec.origin = _moved_value(spec.origin, old, new)
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = module.__path__
        if isinstance(path := getattr(spec.loader, "path", None), str):
            spec.loader.path = _moved(path, old, new)


def _moved_value(value: Any, old: str, new: str) -> Any:
    if isinstance(value, str):
        return _moved(value, old, new)
    return [_moved(entry, old, new) for entry in _entries(value)] if value is not None else None


def _moved(path: str, old: str, new: str) -> str:
    if path == old or path.startswith(old + os.sep):
        return new + path[len(old) :]
    return path
