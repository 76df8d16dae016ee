"""The file ``config.json``, which every start of a worker reads: written again if it was lost or damaged."""

from __future__ import annotations

import os
from contextlib import suppress

from gyrus.contract.replica import ReplicaConfig
from gyrus.runtime.codec import CodecError, decode, encode


def keep_configuration(config: ReplicaConfig, path: str) -> None:
    """Write the configuration again unless the file has it. A failing write leaves the file as it is."""
    if _read(path) == config:
        return
    fresh = f"{path}.new"
    with suppress(OSError):
        with open(fresh, "wb") as file:
            file.write(encode(config))
        os.replace(fresh, path)


def _read(path: str) -> ReplicaConfig | None:
    try:
        with open(path, "rb") as file:
            return decode(ReplicaConfig, file.read())
    except (OSError, CodecError):
        return None
