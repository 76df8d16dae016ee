"""Remedies for failed imports: a missing package, a module in another folder, a name that is taken."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from types import ModuleType

_MOST_FOLDERS = 2000
"""Folders of the project that are searched for a module, at most."""


def remedy(error: BaseException) -> str:
    """Return what to change so that the import succeeds. Returns an empty string if that is unknown."""
    for each in _chain(error):
        if found := _rename(each) or _relative(each) or _missing(each):
            return found
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__context__ if link.__cause__ is None else link.__cause__


def _rename(error: BaseException) -> str:
    """Return a remedy if a module of the project has the name of another one that is imported."""
    name = _module_of(error)
    if not name or not (own := _own_file(name)):
        return ""
    if name in sys.stdlib_module_names:
        return f"{own} has the name of Python's module {name}: rename it"
    if _is_installed(name):
        return f"{own} has the name of the installed module {name}: rename it"
    return ""


def _module_of(error: BaseException) -> str:
    """Return the top-level name of the module in which something was not found."""
    if isinstance(error, ImportError) and error.name:
        return error.name.partition(".")[0]
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        return error.obj.__name__.partition(".")[0]
    return ""


def _own_file(name: str) -> str:
    """Return the project's top-level module or package of this name, relative to the project."""
    if os.path.isfile(f"{name}.py"):
        return f"{name}.py"
    return f"{name}/" if os.path.isfile(os.path.join(name, "__init__.py")) else ""


def _is_installed(name: str) -> bool:
    """Return True if a module of this name is outside of the project."""
    project = os.getcwd()
    others = [entry for entry in sys.path if entry and not f"{entry}/".startswith(f"{project}/")]
    spec = PathFinder.find_spec(name, others)
    return spec is not None and spec.origin is not None


def _relative(error: BaseException) -> str:
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return "the file is in no folder of the project: write the import without the leading dot"
    return ""


def _missing(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    if place := _elsewhere(error.name):
        return f"{place} is imported as {place.removesuffix('.py').replace(os.sep, '.')}"
    return "add its package to requirements.txt, or correct the import"


def _elsewhere(name: str) -> str:
    """Return the file or package of this name in a sub-folder of the project. Returns "" if there is none."""
    wanted = name.replace(".", os.sep)
    for number, (folder, folders, _) in enumerate(os.walk(".")):
        if number == _MOST_FOLDERS:
            break
        folders[:] = sorted(each for each in folders if each.isidentifier() and not each.startswith("__"))
        for file in (f"{wanted}.py", os.path.join(wanted, "__init__.py")):
            if os.path.isfile(place := os.path.normpath(os.path.join(folder, file))):
                return place.removesuffix(f"{os.sep}__init__.py")
    return ""
