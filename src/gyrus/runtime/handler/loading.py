"""Loading of the user's class from a file of the project, and construction of its instance.

A failure here is in the user's code or configuration, so its message names the file and the change to make.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from types import ModuleType, WrapperDescriptorType
from typing import Any

from gyrus.contract.replica import HandlerConfig, Reason
from gyrus.runtime.handler.failure import LoadFailed, failed, note_project
from gyrus.runtime.handler.handler import LoadedHandler, handler_of
from gyrus.runtime.handler.import_remedies import remedy
from gyrus.runtime.handler.importing import import_file
from gyrus.runtime.handler.main_module import remedy_of
from gyrus.runtime.handler.signature import INIT, Signature, is_variadic, signature_of

CLASS = "Handler"
_NEEDS_SETUP = "start tasks in async def setup(self), which runs on the event loop before the first request"


def enter_project(folder: str) -> None:
    """Make the folder the working folder and the first entry of the module search path. Raises LoadFailed."""
    try:
        os.chdir(folder)
    except OSError as error:
        message = f"the project folder {folder} cannot be opened: {error.strerror}; deploy again"
        raise LoadFailed(Reason.PACKAGE, message) from error
    project = os.getcwd()
    note_project(project)
    sys.path[:] = [project, *(entry for entry in sys.path if entry not in ("", project))]


def load(config: HandlerConfig) -> LoadedHandler:
    """Import the file, find the class and construct the instance. Raises LoadFailed.

    Call :func:`enter_project` before.
    """
    found = find_class(import_file(config.path), config.path, config.class_name)
    return make(found, config)


def make(found: type[Any], config: HandlerConfig) -> LoadedHandler:
    """Construct the handler from its class and its configuration. Raises LoadFailed."""
    given = arguments_of(config)
    return handler_of(construct(found, given), batched=config.batch_max_size > 1, given=given)


def arguments_of(config: HandlerConfig) -> dict[str, Any]:
    """Return the arguments that a constructor or an async ``setup`` can take."""
    given: dict[str, Any] = {"config": config.config, "models": None}
    if config.models is not None:
        from pathlib import Path  # its import takes a cold start's time, which handlers without models save

        given["models"] = Path(config.models)
    return given


def find_class(module: ModuleType, path: str, wanted: str | None) -> type[Any]:
    """Return the class ``wanted``, or else ``Handler``, or else the file's only class with ``predict``."""
    if wanted is not None:
        found = getattr(module, wanted, None)
        if not isinstance(found, type):
            raise LoadFailed(Reason.IMPORT, f"{path} has no class {wanted}")
        return found
    if isinstance(found := getattr(module, CLASS, None), type):
        return found
    return _only_class(module, path)


def _only_class(module: ModuleType, path: str) -> type[Any]:
    own = [value for value in vars(module).values() if _is_own_class(value, module)]
    able = [value for value in own if callable(getattr(value, "predict", None))]
    if len(able) == 1:
        return able[0]
    if able:
        names = ", ".join(value.__name__ for value in able)
        message = f"{path} has several classes with predict() ({names}); rename one of them to {CLASS}"
    else:
        message = f"{path} has no class with predict(); write: class {CLASS}, with def predict(self, payload)"
    raise LoadFailed(Reason.IMPORT, message)


def _is_own_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and value.__module__ == module.__name__


def construct(found: type[Any], given: Mapping[str, Any]) -> Any:
    if not callable(getattr(found, "predict", None)):
        message = f"the class {found.__name__} has no method predict; write: def predict(self, payload)"
        raise LoadFailed(Reason.IMPORT, message)
    wanted = _wanted_of_init(found)
    arguments = wanted.given(given) if wanted else {}
    try:
        return found(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what, file = f"{found.__name__}.__init__ failed", _file_of(found)
        hint = remedy_of(error, file) or remedy(error)
        hint = hint or (_NEEDS_SETUP if _needs_running_loop(error) else "")
        raise failed(Reason.INIT, what, error, hint) from error


def _file_of(found: type[Any]) -> str:
    """Return the file of a class, relative to the working folder unless that is gone."""
    file: str = getattr(sys.modules.get(found.__module__), "__file__", None) or found.__module__
    try:
        return os.path.relpath(file)
    except OSError:
        return file


def _needs_running_loop(error: BaseException) -> bool:
    return type(error) is RuntimeError and "no running event loop" in str(error)


def _wanted_of_init(found: type[Any]) -> Signature | None:
    """Return the arguments that the constructor names, or the inherited one that it passes them on to.

    Returns None if it takes none. Raises LoadFailed.
    """
    for kind in found.__mro__:
        init: Any = vars(kind).get("__init__")
        if init is None:
            continue
        if isinstance(init, WrapperDescriptorType):  # of a built-in type
            return None
        method: Callable[..., Any] = init.__get__(object())
        if not is_variadic(method):
            return signature_of(method, INIT)
    return None
