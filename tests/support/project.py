"""Small projects for tests to deploy, written where the test wants them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ECHO_REVISION = """
class Handler:
    def __init__(self, config):
        self.version = config["version"]

    def predict(self, payload):
        return {"version": self.version}
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with ``gyrus.yaml`` and ``handler.py``. JSON is written: it is YAML too."""

    folder: Path

    def write(self, *apis: dict[str, Any], handler: str | None = None) -> Path:
        """The folder, ready to be deployed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "gyrus.yaml").write_text(json.dumps(apis, indent=2))
        if handler is not None:
            (self.folder / "handler.py").write_text(handler)
        return self.folder


def handler_api(name: str, **changes: Any) -> dict[str, Any]:
    """A RealtimeAPI whose handler is ``handler.py``."""
    config = changes.pop("config", {})
    return {
        "name": name,
        "kind": "RealtimeAPI",
        "handler": {"path": "handler.py", "config": config},
    } | changes
