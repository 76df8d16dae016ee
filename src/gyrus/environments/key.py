"""The names of resolutions and of environments: digests of everything that decides their content. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from gyrus.environments.lock import Lock
from gyrus.environments.pip_settings import PipSettings

FORMAT = 2
"""Version of the layout of environments. Another layout needs a higher number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionInputs:
    """Everything that decides a lock, except for the time: what the indexes offer then."""

    dependencies: tuple[str, ...]
    """The value of ``Dependencies.content``."""
    project: str | None
    """Digest of the project's files; None if none of them is installed."""
    runtime_requirements: tuple[str, ...]
    python: str
    """Implementation and minor version of the interpreter."""
    platform: str
    pip: PipSettings

    @property
    def key(self) -> str:
        return _digest(asdict(self) | {"pip": _public(self.pip)})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentInputs:
    """Everything that decides the content of an environment."""

    lock: Lock
    project: str | None
    """Digest of the project's files; None if none of them is installed."""
    runtime: str
    """Digest of the runtime's code."""
    python: str
    """Implementation, version and build of the interpreter."""
    platform: str

    @property
    def key(self) -> str:
        return _digest(asdict(self))


def _digest(content: Mapping[str, object]) -> str:
    """Return 32 hexadecimal digits."""
    document = json.dumps({**content, "format": FORMAT}, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def _public(settings: PipSettings) -> str:
    """Return pip's settings without the passwords in their URLs: another password gives the same packages."""
    decisive = (
        settings.index_url,
        settings.extra_index_urls,
        settings.no_index,
        settings.find_links,
        settings.constraints,
        settings.pre,
    )
    return re.sub(r"://[^/@\s\"]*@", "://", json.dumps(decisive))
