"""The choice of a store's implementation by its location."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from gyrus.objects.credentials import read_aws_access
from gyrus.objects.folder import FolderObjects
from gyrus.objects.location import ObjectLocation
from gyrus.objects.s3 import S3Objects
from gyrus.objects.store import ObjectStore

StoreOpener = Callable[[ObjectLocation], ObjectStore]
"""Opens the store whose names are under a location. Raises ObjectsRefused."""


def open_objects(location: ObjectLocation, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """Open the store whose names are under this location. Raises ObjectsRefused."""
    if not location.bucket:
        return FolderObjects(Path(location.path))
    return S3Objects(location.bucket, location.path, read_aws_access(environ))
