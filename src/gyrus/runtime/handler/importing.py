"""The import of the handler's file under a name by which other processes can import it too."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType

from gyrus.contract.replica import Reason
from gyrus.runtime import project
from gyrus.runtime.handler.failure import LoadFailed, failed
from gyrus.runtime.handler.import_remedies import remedy
from gyrus.runtime.handler.main_module import refer_to, remedy_of


def import_file(path: str) -> ModuleType:
    """Import a Python file of the project, which is the working folder. Raises LoadFailed."""
    if not os.path.isfile(path):
        raise LoadFailed(Reason.IMPORT, f"there is no file {path} in the project; correct handler.path")
    if not path.endswith(".py"):
        raise LoadFailed(Reason.IMPORT, f"{path} is not a Python file; correct handler.path")
    os.environ[project.PROJECT] = os.getcwd()
    _find_siblings(path)
    try:
        return _import_module(module_name(path))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        what = f"{path} cannot be imported"
        raise failed(Reason.IMPORT, what, error, remedy_of(error, path) or remedy(error)) from error


def _import_module(name: str) -> ModuleType:
    """Import a module as Python does, and let ``__main__`` refer to it while its code runs."""
    parent, _, child = name.rpartition(".")
    if parent:
        __import__(parent)
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    refer_to(module)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def module_name(path: str) -> str:
    """Return the name of the file's module. Imports the packages that contain the file.

    It is the name by which the project itself would import the file. If Python, the runtime or a library has
    that name, or if it is none, the file is a submodule of :mod:`gyrus.runtime.project`.
    """
    path = os.path.relpath(path)
    parts = path.removesuffix(".py").split(os.sep)
    name = ".".join(parts)
    is_free = parts[0] not in sys.stdlib_module_names and not any("." in part for part in parts)
    if is_free and _leads_to(name, path):
        return name
    alias = project.name_of(path)
    for earlier in [known for known in sys.modules if known.startswith(f"{project.__name__}.")]:
        del sys.modules[earlier]  # another project of the same process, in tests of handlers
    return alias


def _leads_to(name: str, path: str) -> bool:
    """Return True if an import of the name loads this file, and has not loaded it yet."""
    if name in sys.modules:
        return False
    importlib.invalidate_caches()
    try:
        if parent := name.rpartition(".")[0]:
            __import__(parent)
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            return False  # a module with the name of the folder is no package
        raise
    except ValueError:  # a module of that name without a specification
        return False
    return spec is not None and spec.origin is not None and os.path.abspath(path) == spec.origin


def _find_siblings(path: str) -> None:
    """Let modules beside a file in a sub-folder be imported, as those beside a script.

    Their folder is the last one of the search path, so that it hides nothing.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if folder not in sys.path:
        sys.path.append(folder)
