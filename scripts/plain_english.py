"""Check the project's prose, its names, and the subjects of its commits.

    scripts/plain_english.py               everything that git tracks, and the commits since the rules began
    scripts/plain_english.py src/gyrus/cli docs/guides/cli.md

The rules are about constructions that people read at half speed (a component is *it*, never *who*; a
docstring begins with an imperative or a noun phrase) and about words that stand for a standard term (*again*,
not *anew*). Names of functions, classes, arguments, variables and modules are checked for a few of these
words. CONTRIBUTING explains the rules. The comment ``plain: ok`` allows a line that quotes such a word.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent
RULES_BEGAN = "f4398a2afabb"
"""Commits after this one have subjects in the imperative."""
LONGEST_SUBJECT = 72
ALLOWED = "plain: ok"
LEFT_OUT = ("requirements/", "LICENSE", "scripts/plain_english.py", "tests/unit/test_plain_english.py")
TESTS = "tests/"
"""In these files, messages and the first words of docstrings are free."""

PEOPLE = re.compile(
    r"\b(?:users?|people|persons?|engineers?|teams?|you|anyone|everyone|someone|developers?|newcomers?|authors?"
    r"|readers?|others|those),?\s+$",
    re.IGNORECASE,
)
"""What may stand before *who*."""

WHO = r"\bwho\b|\bwhom\b"
WORDS: dict[str, str] = {
    r"\bwhoever\b|\bwhomever\b": 'a component is "it": name it',
    r"\bnobody\b|\bsomebody\b|\beverybody\b|\banybody\b": 'name it, or write "no client", "a replica"',
    WHO: 'a component is "it", people are "you" or "the user"',
    r"\banew\b": "again",
    r"\b(?:give|gives|gave|given|giving) back\b": "requeue, release or return",
    r"\b(?:tell|tells|told|telling)\b": "report, log, return, notify or show",
    r"\b(?:say|says|said|saying)\b": "report, log, show or state",
    r"\b(?:rung|bells?)\b": "notified, signal",
    r"\bmakes? way\b|\bmade way\b": "stop first, preempt",
    r"\bparked\b|\bparking\b": "fork server, warm",
    r"\blest\b|\bbe it\b|\bhence\b|\bthereof\b": "so that, even",
    r"\b(?:no|have|has|is|was|had) room\b|\broom for\b": "capacity, space",
    r"\bat hand\b": "ready",
    r"\bbelongs? into\b": "belongs in",
    r"\bor not, or\b|\bas last time\b": "state the default",
}
FIRST_WORDS = (
    "What Who Whoever Whom Whose Whether Which Where Why It They Those Nobody Somebody Everybody "
    "Something So Not Of Until Is Are Has Was Were Tells Told Gives Knows Says None"
)
"""A docstring or a comment on a constant does not begin with one of these."""

NAME_WORDS: dict[str, str] = {
    "tell tells told telling untold say says said saying": "report, log, print, return or message",
    "nobody nobodys somebody somebodys everybody anybody": "no replica, another process, …",
    "who whom whoever whomever": "the component",
    "anew": "again",
    "bell bells rung": "signal, notify",
    "parked parking": "fork server, warm",
    "hopeless": "unavailable",
    "rehearsal rehearsals rehearse rehearsed rehearsing": "simulation",
    "scene scenes": "chart",
    "shelf shelves": "cache, store",
    "caretaker": "replica",
    "giveback givings giver lest whence": "requeue, source, …",
}
"""By words that identifiers do not contain, the terms to use instead."""
NAME_PHRASES = {
    r"(?:^|_)(?:give|gives|gave|given|giving)_back(?:_|$)": "requeue, release or return",
    r"(?:^|_)(?:make|makes|made|making)_way(?:_|$)": "stop first, preempt",
}

COMMIT_NOUNS = "A An The This That What Who Where When Whether Each One All Every No Nothing It Its"
IMPERATIVES = (
    "Access Address Bless Bring Bypass Compress Cross Discuss Dismiss Embed Express Feed Focus Need Pass "
    "Process Proceed Press Seed Speed Spread Stress Suppress Toss"
)
"""Verbs that only look like another form."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Prose:
    """A piece of text and the line where it begins."""

    line: int
    text: str
    is_docstring: bool = False
    is_message: bool = False


def main(arguments: list[str]) -> int:
    files = list(tracked(arguments))
    found = sorted(finding for file in files for finding in check_file(file))
    if not arguments:
        found += [Finding("git log", 0, fault) for fault in commit_faults(subjects())]
    for finding in found:
        print(finding)  # noqa: T201
    print(f"{len(files)} files, {len(found)} findings")  # noqa: T201
    return 1 if found else 0


def tracked(paths: Iterable[str]) -> Iterator[Path]:
    """Files of these folders that are prose or have some, in git's order."""
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "--", *paths).splitlines()
    for name in listed:
        path = ROOT / name
        if path.suffix in (".py", ".md") and not name.startswith(LEFT_OUT) and path.is_file():
            yield path


def check_file(path: Path) -> Iterator[Finding]:
    text = path.read_text()
    allowed = {number for number, line in enumerate(text.splitlines(), 1) if ALLOWED in line}
    pieces = prose_of_python(text) if path.suffix == ".py" else prose_of_markdown(text)
    name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
    if name.startswith(TESTS):
        pieces = (replace(piece, is_docstring=False) for piece in pieces if not piece.is_message)
    found = [fault for piece in pieces for fault in check_prose(piece)]
    if path.suffix == ".py":
        found += check_names(text, path.stem)
    for line, message in found:
        if line not in allowed:
            yield Finding(name, line, message)


def check_prose(piece: Prose) -> Iterator[tuple[int, str]]:
    """Yield lines and messages of one piece."""
    if piece.is_docstring and (first := piece.text.split(None, 1)[:1]):
        word = first[0].strip(".,:;*")
        if word in FIRST_WORDS.split():
            yield piece.line, f'a docstring begins with "{word}": begin with an imperative or a noun phrase'
    text = _without_code(piece.text)
    for pattern, remedy in _PATTERNS:
        for match in pattern.finditer(text):
            if match[0].lower().startswith("who") and PEOPLE.search(text, 0, match.start()):
                continue
            line = piece.line + text.count("\n", 0, match.start())
            yield line, f'"{match[0]}": {remedy}'


def check_names(text: str, module: str) -> Iterator[tuple[int, str]]:
    """Yield lines and messages of the names that a module defines, and of its own name."""
    for line, name in {(1, module), *_defined_names(ast.parse(text))}:
        words = [word.lower() for word in _WORD.findall(name)]
        for word in words:
            if remedy := _NAME_WORDS.get(word):
                yield line, f'the name {name} contains "{word}": {remedy}'
        for pattern, remedy in NAME_PHRASES.items():
            if match := re.search(pattern, "_".join(words)):
                yield line, f'the name {name} contains "{match[0].strip("_")}": {remedy}'


def prose_of_python(text: str) -> Iterator[Prose]:
    """Yield docstrings, comments, texts under constants and fields, and messages: strings with a space."""
    docstrings = set(_docstring_lines(ast.parse(text)))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Prose(token.start[0], token.string.lstrip("# "))
        elif token.type == tokenize.STRING:
            content = re.sub(r"^[A-Za-z]*('''|\"\"\"|'|\")|('''|\"\"\"|'|\")$", "", token.string)
            is_docstring = token.start[0] in docstrings
            if is_docstring or " " in content.strip():
                text = re.sub(r"\{[^{}]*\}", "x", content)
                yield Prose(token.start[0], text, is_docstring, is_message=not is_docstring)


def prose_of_markdown(text: str) -> Iterator[Prose]:
    """Yield a document without its fenced blocks."""
    blank = re.sub(
        r"^```.*?^```", lambda match: "\n" * match[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL
    )
    yield Prose(1, blank)


def commit_faults(lines: Iterable[str]) -> Iterator[str]:
    """Yield a message for each subject that is not a short imperative."""
    for subject in lines:
        word = re.match(r"[\w-]*", subject)
        first = word[0] if word else ""
        if len(subject) > LONGEST_SUBJECT:
            yield f"{subject!r} is longer than {LONGEST_SUBJECT} characters"
        if subject.endswith("."):
            yield f"{subject!r} ends with a full stop"
        if (
            not first[:1].isupper()
            or first in COMMIT_NOUNS.split()
            or (_looks_inflected(first) and first not in IMPERATIVES.split())
        ):
            yield f"{subject!r} does not begin with a verb in the imperative (Add, Fix, Split …)"


def subjects() -> list[str]:
    """Subjects of the commits since the rules began; none where the history does not reach back to that."""
    known = subprocess.run(
        ("git", "merge-base", "--is-ancestor", RULES_BEGAN, "HEAD"),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if known.returncode:
        sys.stdout.write(
            f"commit subjects are not checked: the history does not reach back to {RULES_BEGAN[:7]}\n"
        )
        return []
    return _git("log", "--no-merges", "--format=%s", f"{RULES_BEGAN}..HEAD").splitlines()


def _looks_inflected(word: str) -> bool:
    return bool(re.search(r"(?:[^s]s|ed|ing)$", word))


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    """Lines where docstrings begin, those after an assignment included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in cast("list[ast.stmt]", body) if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                yield statement.lineno


def _defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Functions, classes, arguments, variables, attributes and aliases, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case _:
                pass


def _without_code(text: str) -> str:
    """Code spans blanked, so that identifiers are free."""
    return re.sub(r"``[^`]*``|`[^`\n]*`|\]\([^)]*\)", lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _git(*arguments: str) -> str:
    return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=True).stdout


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME_WORDS = {word: remedy for words, remedy in NAME_WORDS.items() for word in words.split()}
_PATTERNS = [(re.compile(pattern, re.IGNORECASE), remedy) for pattern, remedy in WORDS.items()]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
