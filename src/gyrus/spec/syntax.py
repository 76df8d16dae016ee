"""Errors of the YAML parser in plain words: the probable cause and its place."""

from __future__ import annotations

import re

import yaml
from yaml.reader import ReaderError

from gyrus.spec.faults import START, Mark, SpecFault


def explain(error: yaml.YAMLError, text: str, file: str) -> SpecFault:
    """Return the fault behind a parser's error."""
    if isinstance(error, ReaderError):
        return _unreadable(error, text, file)
    if not isinstance(error, yaml.MarkedYAMLError):
        return SpecFault(file=file, mark=START, field="", message=f"is not YAML: {error}")
    here, opened = _mark(error.problem_mark), _mark(error.context_mark)
    mark, message, remedy = _explain(error, here or opened or START, opened or here or START, text)
    return SpecFault(file=file, mark=mark, field="", message=message, remedy=remedy)


def _explain(error: yaml.MarkedYAMLError, here: Mark, opened: Mark, text: str) -> tuple[Mark, str, str]:
    problem, context = error.problem or "", error.context or ""
    line = _line(text, here)
    indent = line[: len(line) - len(line.lstrip())]
    if "\\t" in problem or "tab" in problem or "\t" in indent:
        return here, "a tab is used to indent", "YAML indents with spaces only"
    if "Unicode" in problem:
        return here, "an escape stands for half a surrogate pair", "write the character itself, or remove it"
    if "quoted scalar" in context:
        return opened, "the quote that opens here is never closed", "add the closing quote"
    if "flow sequence" in context or "flow mapping" in context:
        opening, closing = ("[", "]") if "sequence" in context else ("{", "}")
        remedy = f"add the {closing} that belongs to the {opening} in line {opened.line}, or a comma"
        return here, f"a {closing} or a comma is missing", remedy
    if "flow node" in context and "<stream end>" in problem:
        return _line_above(here, text), "a bracket is not closed", "add the ] or } that is missing"
    if "mapping values are not allowed" in problem:
        return _misplaced_colon(here, line, text)
    if "could not find expected ':'" in problem:
        return opened, "a colon is missing after the field's name", "write field: value"
    if match := re.search(r"found character '(.)' that cannot start", problem):
        return here, f"a value cannot begin with {match[1]}", "put the value in quotes"
    if match := re.search(r"undefined alias '?([^']*)'?", problem):
        return here, f"*{match[1]} stands for nothing", f"define it before with &{match[1]}, or quote it"
    if "another document" in problem:
        return here, "a second document begins here", "write all APIs in one list, without ---"
    if "<block end>" in problem or "expected" in problem:
        return here, *_stray(problem)
    return here, f"is not YAML: {problem or context}", ""


def _misplaced_colon(here: Mark, line: str, text: str) -> tuple[Mark, str, str]:
    before = line[: here.column - 1]
    if ":" in before:
        return here, "a value holds a colon", "put the value in quotes"
    above = _line_above(here, text)
    if re.search(r":(\s|$)", _line(text, above)):  # its value seems to continue in this line
        start = Mark(here.line, len(line) - len(line.lstrip()) + 1)
        return (
            start,
            f"this line is indented more than line {above.line}",
            "indent the fields of one API alike",
        )
    return above, "a colon is missing in this line", "write field: value"


def _line_above(here: Mark, text: str) -> Mark:
    """Return the start of the nearest line above that has content."""
    lines = text.splitlines()[: here.line - 1]
    numbered = [number for number, line in enumerate(lines, 1) if line.split("#")[0].strip()]
    return Mark(numbered[-1] if numbered else 1, 1)


def _stray(problem: str) -> tuple[str, str]:
    if "scalar" in problem:
        return "text follows where a value has ended", "put the whole value in quotes"
    if "block sequence" in problem or "'-'" in problem:
        return "a list item stands where a field was expected", "indent it like the list that it belongs to"
    return "the line's indentation fits nothing above it", "indent the fields of one API alike"


def _unreadable(error: ReaderError, text: str, file: str) -> SpecFault:
    before = text[: error.position]
    mark = Mark(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
    code = error.character if isinstance(error.character, int) else ord(error.character)
    message = f"the character U+{code:04X} is not allowed in YAML"
    return SpecFault(file=file, mark=mark, field="", message=message, remedy="remove it")


def _mark(mark: yaml.Mark | None) -> Mark | None:
    return Mark(mark.line + 1, mark.column + 1) if mark else None


def _line(text: str, mark: Mark) -> str:
    lines = text.splitlines()
    return lines[mark.line - 1] if mark.line <= len(lines) else ""
