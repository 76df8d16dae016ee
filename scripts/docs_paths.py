"""Check that the Markdown documents name only files that exist.

A path is the target of a relative link, or a word in backticks that begins with one of the repository's
folders and contains a slash. A ``*`` in it must match at least one file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("*.md", "docs/**/*.md", "examples/*/README.md")
FOLDERS = ("src/", "tests/", "docs/", "scripts/", "examples/", "bench/", "requirements/", "charts/", ".ci/")

_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)]*)?\)")
_CODE = re.compile(r"`([^`\s]+)`")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def paths_in(text: str) -> Iterator[tuple[str, bool]]:
    """Yield each path that a document names, and whether it is relative to the document."""
    prose = _FENCED.sub("", text)
    for match in _LINK.finditer(prose):
        if "://" not in match[1] and not match[1].startswith("mailto:"):
            yield match[1], True
    for match in _CODE.finditer(prose):
        if match[1].startswith(FOLDERS):
            yield match[1], False


def exists(folder: Path, path: str) -> bool:
    if "*" in path:
        return any(folder.glob(path))
    return (folder / path).exists()


def main() -> int:
    documents = sorted({document for pattern in DOCUMENTS for document in ROOT.glob(pattern)})
    missing = [
        f"{document.relative_to(ROOT)}: {path} does not exist"
        for document in documents
        for path, relative in paths_in(document.read_text("utf-8"))
        if not exists(document.parent if relative else ROOT, path)
    ]
    print("\n".join([*missing, f"{len(documents)} documents, {len(missing)} missing paths"]))  # noqa: T201
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
