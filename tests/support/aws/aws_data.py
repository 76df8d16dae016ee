"""Data of AWS that moto has: instance types, and the zones that offer them."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def instance_types() -> dict[str, Any]:
    """All instance types by name, as EC2 describes them."""
    return _read("instance_types.json.gz")


@cache
def offerings(region: str) -> list[dict[str, str]]:
    """The instance types that each zone of a region offers."""
    return _read(f"instance_type_offerings/availability-zone/{region}.json.gz")


def _read(path: str) -> Any:
    data = files("moto.ec2").joinpath("resources", path).read_bytes()
    return json.loads(gzip.decompress(data))
