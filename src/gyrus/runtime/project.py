"""The user's files as submodules of this package, for files that cannot have a name of their own.

``code.py`` has the name of a module of Python, and ``v1.2/handler.py`` has a dot in its path. Such a handler
is imported as ``gyrus.runtime.project.code``. Processes that the handler starts import it by the same name,
because they find the project by the environment variable :data:`PROJECT`.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

PROJECT = "GYRUS_PROJECT"
"""Environment variable with the working folder of the process, for itself and those that it starts."""

__path__: list[str] = []  # makes this module a package

_ESCAPES = {"%": "%25", ".": "%2e"}


def name_of(path: str) -> str:
    """Return the name of a Python file, from its path relative to the project.

    >>> name_of("code.py"), name_of("v1.2/handler.py")
    ('gyrus.runtime.project.code', 'gyrus.runtime.project.v1%2e2.handler')
    """
    parts = path.removesuffix(".py").split(os.sep)
    return ".".join((__name__, *map(_quoted, parts)))


def _quoted(part: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in part)


def _unquoted(part: str) -> str:
    return part.replace(_ESCAPES["."], ".").replace(_ESCAPES["%"], "%")


def keep_main_out_of_children() -> None:
    """Let processes that ``multiprocessing`` spawns import the handler's module only, not this program.

    They would import the program with the project first on their path, where its modules may be hidden.
    ``multiprocessing`` leaves out a program of this name.
    """
    sys.modules["__main__"].__spec__ = ModuleSpec("gyrus.runtime.__main__", None)


class _Finder:
    """The finder of the submodules; they may be files, packages, and folders without ``__init__.py``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        project = os.environ.get(PROJECT) or os.getcwd()
        if not fullname.startswith(f"{__name__}."):
            return None
        parts = fullname.removeprefix(f"{__name__}.").split(".")
        place = os.path.join(project, *map(_unquoted, parts))
        for file, is_package in ((os.path.join(place, "__init__.py"), True), (f"{place}.py", False)):
            if os.path.isfile(file):
                inside = [place] if is_package else None
                return importlib.util.spec_from_file_location(
                    fullname, file, submodule_search_locations=inside
                )
        return ModuleSpec(fullname, None, is_package=True) if os.path.isdir(place) else None


sys.meta_path.append(_Finder())
