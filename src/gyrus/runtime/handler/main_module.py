"""The module ``__main__`` that a handler sees.

A class that is pickled in a script is pickled as ``__main__.Scaler``. Where the handler loads it,
``__main__`` is a program of gyrus, so the names of the handler's module stand in for the script's.
"""

from __future__ import annotations

import re
import sys
from types import ModuleType
from typing import Any

_NAME = "__main__"
_MISSING = re.compile(
    r"Can't get attribute '([^']+)' on <module '__main__'|module '__main__' has no attribute '([^']+)'"
)
"""The messages of pickle, up to and from Python 3.14."""


class HandlerMain(ModuleType):
    """A module with the names of the handler's module, and the facts about the process's real one.

    The names of the real one are hidden: a script's ``Control`` is not the one of gyrus.
    """

    def __init__(self, real: ModuleType) -> None:
        super().__init__(_NAME)
        facts = {name: value for name, value in vars(real).items() if name.startswith("__")}
        vars(self).update(facts)  # multiprocessing finds the program by __spec__
        self._real = real  # its functions are running
        self._handler: ModuleType | None = None

    def refer_to(self, handler: ModuleType) -> None:
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        """Return the attribute of the handler's module."""
        handler = vars(self).get("_handler")
        if handler is not None and not name.startswith("__") and hasattr(handler, name):
            return getattr(handler, name)
        raise AttributeError(f"module {_NAME!r} has no attribute {name!r}", name=name, obj=self)

    def __repr__(self) -> str:
        return f"<module {_NAME!r}>"


def stand_in() -> None:
    """Replace ``__main__`` in a process that loads a handler."""
    main = sys.modules[_NAME]
    if not isinstance(main, HandlerMain):
        sys.modules[_NAME] = HandlerMain(main)


def refer_to(handler: ModuleType) -> None:
    """Let a stand-in for ``__main__``, if there is one, have the names of the handler's module."""
    main = sys.modules[_NAME]
    if isinstance(main, HandlerMain):
        main.refer_to(handler)


def remedy_of(error: BaseException, path: str) -> str:
    """Return the remedy if a name of a script is missing in the file ``path``. Returns "" if none is."""
    match = _MISSING.search(str(error)) if isinstance(error, AttributeError) else None
    if match is None:
        return ""
    name = match[1] or match[2]
    return f"{name} was pickled in a script, where its module is __main__: define or import {name} in {path}"
