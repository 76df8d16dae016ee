"""Certificates that Envoy reads from files, and again when they are replaced (SDS over the file system).

Each one is a resource in a file of its own, since Envoy follows only files that a resource names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gyrus.routing.resources.kinds import Json

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSecret:
    """A resource with a certificate, and the file that it is in."""

    name: str
    file: Path
    content: Json
    """One of the kinds of a secret."""

    @property
    def reference(self) -> Json:
        """The field by which a transport uses it."""
        source = {"path_config_source": {"path": str(self.file)}, "resource_api_version": "V3"}
        return {"name": self.name, "sds_config": source}

    @property
    def document(self) -> Json:
        """The content of the file."""
        return {"resources": [{"@type": _SECRET, "name": self.name, **self.content}]}


def certificate(name: str, folder: Path, chain: Path, key: Path) -> FileSecret:
    """Return a certificate and its key. ``folder``: that of the resource.

    Kubernetes replaces all files of a Secret at once, by a rename in their folder, which Envoy watches.
    """
    content = {
        "certificate_chain": {"filename": str(chain)},
        "private_key": {"filename": str(key)},
        "watched_directory": {"path": str(chain.parent)},
    }
    return FileSecret(name=name, file=folder / f"{name}.json", content={"tls_certificate": content})


def authority(name: str, folder: Path, file: Path) -> FileSecret:
    """Return the authorities whose certificates are accepted. ``folder``: that of the resource."""
    content = {"trusted_ca": {"filename": str(file)}, "watched_directory": {"path": str(file.parent)}}
    return FileSecret(name=name, file=folder / f"{name}.json", content={"validation_context": content})
