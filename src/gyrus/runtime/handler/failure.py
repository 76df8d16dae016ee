"""The failure of a handler before its first request, and the part of a traceback that is in the user's code.

The error is the user's, and so is the state of the process: the working folder may be gone, the error may
have no text, and ``traceback`` may be replaced. Therefore nothing here raises; it reports what it can.

::

    LoadFailed    the replica cannot serve; the reason is one of the contract's
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any

from gyrus.contract.replica import Reason

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_projects: list[str] = []
"""Folders from which the handler's code was loaded: the working folder, and in a fork its parent's too."""
_MACHINERY = ("<frozen importlib", "<frozen runpy")
_FRAMES = 40
"""Frames that a traceback without source lines shows, at most: the innermost ones."""
_NO_TEXT = "(its text cannot be shown)"

# Python's own accessors: a class, or its metaclass, may define others of the same names.
_class_name: Callable[[type], str] = type.__dict__["__name__"].__get__
_trace_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__


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
    name = type_name(error)
    if isinstance(error, SyntaxError):
        return f"{name}: {error.msg} ({os.path.basename(error.filename or '')}:{error.lineno})"
    text = _text(error).strip().split("\n")[0]
    return f"{name}: {text}" if text else name


def type_name(error: BaseException) -> str:
    """Return the name of the error's class."""
    return _class_name(type(error))


def user_traceback(error: BaseException) -> tuple[str, ...]:
    """Return the lines of the traceback that begin in the user's code.

    The frames of gyrus and of the import machinery before them are left out, and the files of the project are
    named relative to its folder. A traceback that cannot be formatted shows only the places in the code.
    """
    try:
        return _formatted(error)
    except BaseException:  # of the error's own methods, or of a replaced module
        return _bare(error)


def _formatted(error: BaseException) -> tuple[str, ...]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.__traceback__ = _trimmed(link.__traceback__)
        link = link.__context__ if link.__cause__ is None else link.__cause__
    text = "".join(traceback.format_exception(error))
    for folder in _projects:
        text = text.replace(f'File "{folder}{os.sep}', 'File "')
    return tuple(text.rstrip("\n").split("\n"))


def _bare(error: BaseException) -> tuple[str, ...]:
    """Return a traceback without source lines, made with no other module."""
    frames: list[str] = []
    trace = _trace_of(error)
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    text = _text(error)
    last = f"{type_name(error)}: {text}" if text else type_name(error)
    return ("Traceback (most recent call last):", *frames[-_FRAMES:], *last.split("\n"))


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except BaseException:  # whatever the error's own method raises
        return _NO_TEXT


def _trimmed(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((_OURS, *_MACHINERY)):
        trace = trace.tb_next
    return trace


def place_of(frame: FrameType | None) -> str:
    """Return the innermost line of the user's code in a running call, as ``file:number in function``.

    Returns "" if the call has none.
    """
    while frame is not None:
        code = frame.f_code
        for folder in _projects:
            if code.co_filename.startswith(folder + os.sep):
                return f"{code.co_filename.removeprefix(folder + os.sep)}:{frame.f_lineno} in {code.co_name}"
        frame = frame.f_back
    return ""


def _place(error: BaseException) -> str:
    """Return the innermost line of the user's code, as ``file:number``. Returns "" if there is none."""
    if isinstance(error, SyntaxError):
        return ""
    try:
        frames: list[Any] = traceback.extract_tb(_trimmed(_trace_of(error)))
        for frame in reversed(frames):
            for folder in _projects:
                if frame.filename.startswith(folder + os.sep):
                    return f"{frame.filename.removeprefix(folder + os.sep)}:{frame.lineno}"
    except BaseException:
        pass
    return ""
