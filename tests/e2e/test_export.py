"""APIs that are exported from one operator and deployed again: the same answers."""

from __future__ import annotations

import json
from pathlib import Path

from support.platform import Platform
from support.project import Project, handler_api

HANDLER = """
import os

import words


class Handler:
    def __init__(self, config):
        self.config = config

    def predict(self, payload):
        return [words.GREETING, self.config["language"], os.environ["MOOD"], payload]
"""


def test_an_api_is_exported_deleted_and_deployed_again(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "greeting")
    api = handler_api("greeting", config={"language": "en"}, env={"MOOD": "calm"}, max_concurrency=3)
    project.write(api, handler=HANDLER)
    (tmp_path / "greeting" / "words.py").write_text("GREETING = 'hello'\n")
    platform.gyrus("deploy", tmp_path / "greeting", "--yes")
    expected = ["hello", "en", "calm", {"a": 1}]
    assert platform.ask("greeting", {"a": 1}).json == expected

    before = platform.json("cluster", "export")
    assert [(one["name"], one["revision"]) for one in before] == [("greeting", 1)]
    assert not (tmp_path / "gyrus-export").exists()
    folder = tmp_path / "copies"
    platform.gyrus("cluster", "export", "--folder", folder)
    assert sorted(file.name for file in (folder / "greeting").iterdir()) == [
        "gyrus.yaml",
        "handler.py",
        "words.py",
    ]
    assert (folder / "greeting" / "gyrus.yaml").stat().st_mode & 0o777 == 0o600

    platform.gyrus("delete", "greeting", "--yes")
    platform.gyrus("deploy", folder / "greeting", "--yes")
    assert platform.ask("greeting", {"a": 1}).json == expected
    after = platform.json("cluster", "export")
    assert json.dumps(after[0]["spec"]) == json.dumps(before[0]["spec"])
    assert after[0]["package"] == before[0]["package"]
