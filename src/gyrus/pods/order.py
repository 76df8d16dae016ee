"""The order of a program, and its access to the files server: read from the environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from gyrus.contract.pods import CA, CA_FILE, FILES, ORDER, POD, SECRET
from gyrus.contract.replica import Reason
from gyrus.pods.failure import PodFailed
from gyrus.runtime.codec import CodecError, decode

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesAccess:
    """The address of the files server, and the proof for it."""

    url: str
    pod: str
    secret: str
    ca: str
    """Path of the certificate that the server's is checked against."""

    @property
    def authorization(self) -> str:
        return f"Bearer {self.pod}.{self.secret}"


def read_access(environ: Mapping[str, str]) -> FilesAccess:
    """Read the access to the files server. Raises PodFailed."""
    return FilesAccess(
        url=_required(environ, FILES),
        pod=_required(environ, POD),
        secret=_required(environ, SECRET),
        ca=environ.get(CA, CA_FILE),
    )


def read_order(kind: type[T], environ: Mapping[str, str]) -> T:
    """Read the order. Raises PodFailed."""
    try:
        return decode(kind, _required(environ, ORDER))
    except CodecError as error:
        raise PodFailed(Reason.ORDER, f"the pod's order {ORDER} cannot be read: {error}") from error


def _required(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name):
        return value
    raise PodFailed(Reason.ORDER, f"the variable {name} is missing in the pod; create the pod by gyrus")
