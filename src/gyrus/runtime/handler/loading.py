"""Loading of the user's class from a file of the project, and construction of its instance.

A failure here is in the user's code or configuration, so its message names the file and the change to make.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from types import ModuleType, WrapperDescriptorType
from typing import Any

from gyrus.contract.replica import HandlerConfig, Reason
from gyrus.runtime.handler.failure import LoadFailed, failed
from gyrus.runtime.handler.handler import LoadedHandler, handler_of
from gyrus.runtime.handler.main_module import refer_to, remedy_of
from gyrus.runtime.handler.signature import INIT, is_variadic, signature_of

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
    sys.path[:] = [project, *(entry for entry in sys.path if entry not in ("", project))]


def load(config: HandlerConfig) -> LoadedHandler:
    """Import the file, find the class and construct the instance. Raises LoadFailed.

    Call :func:`enter_project` before.
    """
    found = find_class(import_file(config.path), config.path, config.class_name)
    return make(found, config)


def make(found: type[Any], config: HandlerConfig) -> LoadedHandler:
    """Construct the handler from its class and its configuration. Raises LoadFailed."""
    instance = construct(found, config.config)
    return handler_of(instance, batched=config.batch_max_size > 1, config=config.config)


def import_file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise LoadFailed(Reason.IMPORT, f"there is no file {path} in the project; correct handler.path")
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, os.path.abspath(path))
    if spec is None or spec.loader is None:
        raise LoadFailed(Reason.IMPORT, f"{path} is not a Python file; correct handler.path")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    refer_to(module)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        missing = isinstance(error, ModuleNotFoundError)
        remedy = remedy_of(error, path)
        if missing:
            remedy = "add its package to requirements.txt, or correct the import"
        raise failed(Reason.IMPORT, f"{path} cannot be imported", error, remedy) from error
    return module


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


def construct(found: type[Any], config: dict[str, Any]) -> Any:
    if not callable(getattr(found, "predict", None)):
        message = f"the class {found.__name__} has no method predict; write: def predict(self, payload)"
        raise LoadFailed(Reason.IMPORT, message)
    arguments = {"config": config} if _init_wants_config(found) else {}
    try:
        return found(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        remedy = remedy_of(error, f"{found.__module__.replace('.', '/')}.py")
        remedy = remedy or (_NEEDS_SETUP if _needs_running_loop(error) else "")
        raise failed(Reason.INIT, f"{found.__name__}.__init__ failed", error, remedy) from error


def _needs_running_loop(error: BaseException) -> bool:
    return type(error) is RuntimeError and "no running event loop" in str(error)


def _init_wants_config(found: type[Any]) -> bool:
    """Return True if the constructor names ``config``, or passes it on to an inherited one that does."""
    for kind in found.__mro__:
        init: Any = vars(kind).get("__init__")
        if init is None:
            continue
        if isinstance(init, WrapperDescriptorType):  # of a built-in type
            return False
        method: Callable[..., Any] = init.__get__(object())
        if not is_variadic(method):
            return signature_of(method, INIT).wants("config")
    return False


def _module_name(path: str) -> str:
    """Return the name under which the file's classes can be pickled, or a fixed one if that is taken."""
    parts = os.path.normpath(path).removesuffix(".py").split(os.sep)
    name = ".".join(parts)
    taken = name in sys.modules or parts[0] in sys.stdlib_module_names
    return "gyrus_handler" if taken or not all(part.isidentifier() for part in parts) else name
