"""Checks of the project's folder: the files that a specification names, and its handler. Runs no code."""

from __future__ import annotations

import ast
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gyrus.spec import faults
from gyrus.spec.document import fields_of
from gyrus.spec.faults import START, Contradiction, Mark, SpecFault, nearest
from gyrus.spec.plain_file import read_plain_file
from gyrus.spec.words import check_file, check_python_file

LARGEST_SOURCE = 16 * 2**20
"""Bytes of a handler's file."""
HANDLER = ("handler", "path")
FILES = (HANDLER, ("handler", "requirements"), ("process", "requirements"))
"""Fields that name a file of the project."""


def missing_files(data: Any, folder: Path) -> Iterator[Contradiction]:
    """Yield the files that one API (plain data, perhaps faulty) names and that do not exist."""
    for path, name in _named_files(data):
        target = folder / name
        if not os.path.isfile(target):
            yield Contradiction(path=path, message=_missing(target, name), remedy=_similar(target, folder))
        elif not _is_inside(target, folder):
            message = f"{name} is a link to {target.resolve()}, outside the project's folder"
            yield Contradiction(path=path, message=message, remedy="copy the file into the folder")


def handler_faults(data: Any, folder: Path) -> Iterator[SpecFault]:
    """Yield the faults in the handler's file, if it exists."""
    for path, name in _named_files(data):
        file = folder / name
        if path == HANDLER and os.path.isfile(file) and _is_inside(file, folder):
            yield from _inspect(file)


def _is_inside(file: Path, folder: Path) -> bool:
    """Return True if the file is inside the folder, with all links followed."""
    return file.resolve().is_relative_to(folder.resolve())


def _named_files(data: Any) -> Iterator[tuple[faults.Path, str]]:
    for path in FILES:
        section, field = path
        value = fields_of(fields_of(data).get(section)).get(field)
        check = check_python_file if path == HANDLER else check_file
        try:
            if isinstance(value, str):
                yield path, check(value)
        except ValueError:
            pass  # the models report it


def _missing(target: Path, name: str) -> str:
    if target.is_dir():
        return f"{name} is a folder, not a file"
    folder = str(target.parents[len(Path(name).parts) - 1])
    return f"there is no file {name} in {'this folder' if folder == '.' else folder}"


def _similar(target: Path, folder: Path) -> str:
    """Return the remedy for a missing file: the nearest name beside it, or to create it."""
    parent = target.parent if target.parent.is_dir() else folder
    close = nearest_file(target.name, parent, (target.suffix,))
    return f'did you mean "{(parent / close).relative_to(folder).as_posix()}"?' if close else "create it"


def nearest_file(name: str, folder: Path, suffixes: Collection[str]) -> str | None:
    """Return the file with one of these suffixes that ``name`` most likely stands for.

    If the folder has only one such file, return that one. Returns None if no file is close.
    """
    try:
        names = [entry.name for entry in folder.iterdir() if entry.suffix in suffixes]
    except OSError:
        return None
    return nearest(name, names) or (names[0] if len(names) == 1 else None)


def _inspect(file: Path) -> Iterator[SpecFault]:
    """Check that a handler's file is valid Python with a class that can be the handler."""
    try:
        tree = _parse(file)
    except SyntaxError as error:
        mark = Mark(error.lineno or 1, max(error.offset or 1, 1))
        yield SpecFault(file=str(file), mark=mark, field="", message=f"syntax error: {error.msg}")
        return
    except OSError as error:
        yield SpecFault(file=str(file), mark=None, field="", message=f"cannot be read: {error.strerror}")
        return
    except ValueError as error:
        yield SpecFault(file=str(file), mark=START, field="", message=f"cannot be read: {error}")
        return
    if fault := _handler_class(tree):
        mark, message, remedy = fault
        yield SpecFault(file=str(file), mark=mark, field="", message=message, remedy=remedy)


def _parse(file: Path) -> ast.Module:
    source = read_plain_file(file, LARGEST_SOURCE)
    if len(source) > LARGEST_SOURCE:
        raise ValueError(f"it has more than {LARGEST_SOURCE:,} bytes, too many for a Python file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in a string is no reason to refuse a deployment
        tree = ast.parse(source, str(file))
        compile(tree, str(file), "exec", dont_inherit=True)
    return tree


@dataclass(frozen=True, slots=True)
class _Class:
    name: str
    mark: Mark
    predicts: bool | None
    """True if the class has a method predict; None if unknown, because a base is not in this file."""
    bases: frozenset[str]


def _handler_class(tree: ast.Module) -> tuple[Mark, str, str] | None:
    """Return the fault in the choice of the handler. Returns None if there is none for certain."""
    bound, classes = _names(tree)
    if "Handler" in bound or "*" in bound:
        handler = classes.get("Handler")
        if handler and handler.predicts is False:
            return handler.mark, "the class Handler has no method predict", "add def predict(self, payload)"
        return None
    inherited = {base for cls in classes.values() for base in cls.bases}
    found = [cls for cls in classes.values() if cls.predicts and cls.name not in inherited]
    if len(found) > 1:
        names = " and ".join(cls.name for cls in found)
        return found[1].mark, f"{names} both have a method predict", "name the one to serve Handler"
    if found or any(cls.predicts is None for cls in classes.values()):
        return None
    return START, "has no class with a method predict", "add class Handler with def predict(self, payload)"


def _names(tree: ast.Module) -> tuple[set[str], dict[str, _Class]]:
    """Return the names that the module binds at its top level, and its classes."""
    bound: set[str] = set()
    classes: dict[str, _Class] = {}
    for statement in _statements(tree.body):
        if isinstance(statement, ast.ClassDef):
            bound.add(statement.name)
            classes[statement.name] = _class(statement, classes)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).split(".")[0] for alias in statement.names)
        elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            bound.add(statement.name)
        else:
            stored = (
                n for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
            )
            bound.update(name.id for name in stored)
    return bound, classes


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when the module is imported, also within if, try and with."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, block, []))
        for handler in getattr(statement, "handlers", []):
            yield from _statements(handler.body)


def _class(node: ast.ClassDef, known: Mapping[str, _Class]) -> _Class:
    bases = frozenset(base.id if isinstance(base, ast.Name) else "" for base in node.bases)
    mark = Mark(node.lineno, node.col_offset + 1)
    return _Class(node.name, mark, _predicts(node, bases, known), bases)


def _predicts(node: ast.ClassDef, bases: frozenset[str], known: Mapping[str, _Class]) -> bool | None:
    """Return whether the class has the method. Returns None if it may inherit it from elsewhere."""
    if any("predict" in _member_names(statement) for statement in node.body):
        return True
    inherited = [known[base].predicts if base in known else None for base in bases - {"object", "ABC"}]
    if True in inherited:
        return True
    uncertain = None in inherited or bool(node.decorator_list) or bool(node.keywords)
    return None if uncertain else False


def _member_names(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        yield statement.name
    for child in ast.walk(statement):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            yield child.id
