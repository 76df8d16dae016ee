"""URLs of object stores: ``s3://bucket/prefix`` and ``file:///folder``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

EXAMPLE = "write for example s3://my-bucket/models/iris"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """A parsed URL."""

    bucket: str
    """Empty for a folder of this machine."""
    path: str
    """Names begin with it: without a slash at its end, and for a bucket without one at its beginning."""

    @property
    def url(self) -> str:
        return (f"s3://{self.bucket}/{self.path}" if self.bucket else f"file://{self.path}").rstrip("/")


def parse_location(url: str) -> ObjectLocation:
    """Parse a URL. Raises ValueError, whose text continues a sentence that begins with the URL."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"is not a URL of objects; {EXAMPLE}")
    if scheme == "s3":
        bucket, _, path = rest.partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise ValueError(f"has no valid bucket name ({bucket!r}); {EXAMPLE}")
        return ObjectLocation(bucket, _without_dots(path.strip("/")))
    if scheme == "file":
        path = unquote(rest)
        if not path.startswith("/"):
            raise ValueError("is not an absolute path; write for example file:///srv/models/iris")
        return ObjectLocation("", "/" + _without_dots(path.strip("/")))
    raise ValueError(f"has the unknown scheme {scheme}:; {EXAMPLE}")


def _without_dots(path: str) -> str:
    if path and any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("has a part that is empty, . or ..; write the path without it")
    return path
