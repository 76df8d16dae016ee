"""The failure of a handler before its first request, and the part of a traceback that is in the user's code.

::

    LoadFailed    the replica cannot serve; the reason is one of the contract's
"""

from __future__ import annotations

import os
import traceback
from dataclasses import dataclass
from types import TracebackType

from gyrus.contract.replica import Reason

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_projects: list[str] = []
"""Folders from which the handler's code was loaded: the working folder, and in a fork its parent's too."""
_MACHINERY = ("<frozen importlib", "<frozen runpy")


@dataclass(eq=False)
class LoadFailed(Exception):
    """A handler cannot be loaded. ``message`` is one line for the user, ``lines`` the traceback if any."""

    reason: Reason
    message: str
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__init__(self.message)


def failed(reason: Reason, what: str, error: BaseException, remedy: str = "") -> LoadFailed:
    """Build the failure ``what``, caused by ``error`` in the user's code."""
    place = _place(error)
    message = f"{what}: {summary(error)}{f' ({place})' if place else ''}{f'; {remedy}' if remedy else ''}"
    return LoadFailed(reason, message, user_traceback(error))


def note_project(folder: str) -> None:
    """Note a folder with the user's code, so that tracebacks name its files as the project does."""
    if folder not in _projects:
        _projects.append(folder)


def summary(error: BaseException) -> str:
    """Return the error in one line."""
    if isinstance(error, SyntaxError):
        return (
            f"{type(error).__name__}: {error.msg} ({os.path.basename(error.filename or '')}:{error.lineno})"
        )
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def user_traceback(error: BaseException) -> tuple[str, ...]:
    """Return the lines of the traceback that begin in the user's code.

    The frames of gyrus and of the import machinery before them are left out, and the files of the project are
    named relative to its folder.
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _trimmed(link.__traceback__)
        link = link.__cause__ or link.__context__
    text = "".join(traceback.format_exception(error))
    for folder in _projects:
        text = text.replace(f'File "{folder}{os.sep}', 'File "')
    return tuple(text.rstrip("\n").split("\n"))


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((_OURS, *_MACHINERY)):
        trace = trace.tb_next
    return trace


def _place(error: BaseException) -> str:
    """Return the innermost line of the user's code, as ``file:number``. Returns "" if there is none."""
    if isinstance(error, SyntaxError):
        return ""
    frames = traceback.extract_tb(_trimmed(error.__traceback__))
    for frame in reversed(frames):
        for folder in _projects:
            if frame.filename.startswith(folder + os.sep):
                return f"{frame.filename.removeprefix(folder + os.sep)}:{frame.lineno}"
    return ""
