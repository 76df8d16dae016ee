"""The schemas of Kubernetes, by which tests check manifests."""

from __future__ import annotations

import functools
import json
import warnings
from typing import Any, cast

import kubernetes_validate.utils

from gyrus.kubernetes.resources import Manifest

VERSIONS = [f"1.{minor}" for minor in range(31, 38)]
"""The supported versions of Kubernetes that have a schema."""
OTHERS = frozenset({"monitoring.coreos.com/v1"})
"""API versions of other projects, which have no schema here."""

_read = cast(Any, kubernetes_validate.utils.schema_contents)
kubernetes_validate.utils.schema_contents = functools.lru_cache(maxsize=64)(_read)


def check_manifest(manifest: Manifest, version: str) -> None:
    """Raise ValidationError unless this version accepts the manifest. Warnings are errors."""
    if manifest["apiVersion"] in OTHERS:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        as_sent = json.loads(json.dumps(manifest))
        assert kubernetes_validate.utils.validate(as_sent, version, strict=True) == version
