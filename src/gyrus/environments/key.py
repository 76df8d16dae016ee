"""The name of an environment: a digest of all that decides what is in it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass

from gyrus.environments.pip_settings import PipSettings

FORMAT = 1
"""Raised when environments are laid out differently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentInputs:
    """All that decides what is in an environment."""

    dependencies: tuple[str, ...]
    """``Dependencies.content``"""
    project: str | None
    """Digest of the project's files, where some of them are installed."""
    runtime: str
    """Digest of the runtime's code."""
    runtime_requirements: tuple[str, ...]
    python: str
    """Implementation, version and build of the interpreter."""
    platform: str
    pip: PipSettings


def key_of(inputs: EnvironmentInputs) -> str:
    """32 hexadecimal digits."""
    content = asdict(inputs) | {"format": FORMAT, "pip": _public(inputs.pip)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _public(settings: PipSettings) -> str:
    """What pip is configured to do, without the passwords in its URLs: what they guard stays the same."""
    decisive = (
        settings.index_url,
        settings.extra_index_urls,
        settings.no_index,
        settings.find_links,
        settings.constraints,
        settings.pre,
    )
    return re.sub(r"://[^/@\s\"]*@", "://", json.dumps(decisive))
