"""The models that a handler's replicas load: exact versions of the objects under a URL."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelObject:
    """One version of one object."""

    name: str
    """Its path in the folder of the models, with slashes."""
    size: int
    """Bytes."""
    tag: str
    """The store's tag of its content: the ETag in S3."""
    version: str | None = None
    """The store's id of the version; None: it keeps no earlier versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """The objects that a revision was deployed with."""

    url: str
    """The store, and the beginning of all names, without a slash at its end."""
    files: tuple[ModelObject, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def key(self) -> str:
        """The name of the folder in caches: equal contents have equal keys. 32 hexadecimal digits."""
        content = [self.url, [[file.name, file.size, file.tag, file.version] for file in self.files]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]

    def encoded(self) -> bytes:
        """Encode the folder as JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()
