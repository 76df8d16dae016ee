"""The name of an environment: a digest of everything that decides its content. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

from gyrus.environments.pip_settings import PipSettings

FORMAT = 1
"""Version of the layout of environments. Another layout needs a higher number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentInputs:
    """Everything that decides the content of an environment."""

    dependencies: tuple[str, ...]
    """The value of ``Dependencies.content``."""
    project: str | None
    """Digest of the project's files; None if none of them is installed."""
    runtime: str
    """Digest of the runtime's code."""
    runtime_requirements: tuple[str, ...]
    python: str
    """Implementation, version and build of the interpreter."""
    platform: str
    pip: PipSettings


def key_of(inputs: EnvironmentInputs) -> str:
    """Return 32 hexadecimal digits."""
    content = asdict(inputs) | {"format": FORMAT, "pip": _public(inputs.pip)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


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
