"""A lock: exact versions with their hashes, for everything that one environment holds.

A lock is made once for each revision and each version of Python, and kept beside the revision's package. It
names no index, so that it stays valid if a mirror moves.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)

FORMAT = 1
"""Version of the file's layout. A file of another version counts as missing."""
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;\\]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The packages of one environment, as lines of requirements files."""

    project: str
    """The project's packages; empty if it requires none."""
    runtime: str
    """The packages of gyrus's runtime that the project does not require itself."""
    runtime_requirements: tuple[str, ...]
    """The requirements that ``runtime`` meets."""


def pins(requirements: str) -> dict[str, str]:
    """Return the exact versions in a requirements file, by the packages' normal names."""
    matches = (_PIN.match(line) for line in requirements.splitlines())
    return {normal_name(match[1]): match[2] for match in matches if match}


def entries(requirements: str) -> Iterator[str]:
    """Yield the entries of a requirements file, each with its continued lines."""
    entry: list[str] = []
    for line in requirements.splitlines():
        entry.append(line)
        if not line.endswith("\\"):
            yield "\n".join(entry)
            entry.clear()


def normal_name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def parse(content: bytes) -> Lock | None:
    """Return the lock in a file's content, or None if it has another layout. Raises ValueError."""
    try:
        document = json.loads(content)
        if document.pop("format") != FORMAT:
            return None
        document["runtime_requirements"] = tuple(document["runtime_requirements"])
        return Lock(**document)
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError(f"the lock is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class LockFile:
    """The file of one lock, which is written once and then only read."""

    path: Path

    @classmethod
    def of(cls, folder: Path, requirements: str | None, python: str, platform: str) -> LockFile:
        """Return the file in the folder of a package's locks.

        A package has several locks if its APIs name different files of requirements, or if gyrus has moved to
        another version of Python or to another platform.
        """
        key = hashlib.sha256(json.dumps([requirements, python, platform]).encode()).hexdigest()[:16]
        return cls(folder / f"{key}.json")

    def read(self) -> Lock | None:
        """Return the lock. Returns None if there is none, or if it is damaged."""
        try:
            return parse(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read and counts as missing: %s", self.path, error)
            return None

    def write(self, lock: Lock) -> None:
        """Write the file, atomically. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".new-", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "w") as file:
                json.dump({"format": FORMAT} | asdict(lock), file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def other(self) -> Lock | None:
        """Return another lock of the same folder, whose versions are a good start for a new one."""
        files = sorted(self.path.parent.glob("[!.]*.json"))
        found = (LockFile(path).read() for path in files if path != self.path)
        return next(filter(None, found), None)
