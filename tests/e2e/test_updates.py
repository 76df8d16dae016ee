"""Updates and refreshes under load: no request is lost, and each answer comes from exactly one revision."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support.load import Load
from support.looking import until
from support.platform import Platform
from support.project import ECHO_REVISION, Project, handler_api

RATE = 250
"""Requests a second that are tried."""
RATE_WANTED = 200
"""That many must have been made, however busy the machine is."""
SECONDS = 30


BROKEN = """
raise RuntimeError("no weights")

class Handler:
    def predict(self): ...
"""


def revision(project: Project, version: int) -> Path:
    config = {"version": version}
    api = handler_api("echo", config=config, autoscaling={"min_replicas": 2}, max_concurrency=4)
    return project.write(api, handler=ECHO_REVISION)


@pytest.mark.slow
async def test_five_updates_and_two_refreshes_under_load(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "echo")
    platform.gyrus("deploy", revision(project, 0), "--yes")
    loop = asyncio.get_running_loop()
    async with Load(platform.url("echo"), RATE) as load:
        began = loop.time()
        for version in range(1, 6):
            await asyncio.to_thread(platform.gyrus, "deploy", revision(project, version), "--yes")
            if version in (2, 4):
                await asyncio.to_thread(platform.gyrus, "refresh", "echo")
        await asyncio.sleep(max(0.0, began + SECONDS - loop.time()))
    assert load.result.failed == (), load.result
    assert len(load.result.answers) >= RATE_WANTED * SECONDS
    assert {json.loads(body)["version"] for body in load.result.bodies} == set(range(6))
    history = platform.json("history", "echo")
    assert history[0]["number"] == 6
    assert platform.json("get", "echo")["replicas"] == {"requested": 2, "ready": 2, "up_to_date": 2}


def test_when_a_deploy_returns_only_the_new_revision_answers(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "echo")
    for version in range(3):
        platform.gyrus("deploy", revision(project, version), "--yes")
        assert {platform.ask("echo", {}).json["version"] for _ in range(20)} == {version}


def test_a_broken_update_leaves_the_old_revision_serving(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "echo")
    platform.gyrus("deploy", revision(project, 1), "--yes")
    broken = project.write(handler_api("echo"), handler=BROKEN)
    reported = platform.failure("deploy", broken, "--yes")
    assert "RuntimeError: no weights" in reported
    assert "Revision 1 serves echo" in reported
    status = platform.json("get", "echo")
    assert (status["status"], status["revision"]) == ("live", 1)
    assert "no weights" in status["message"]
    assert platform.ask("echo", {}).json == {"version": 1}


def test_rollback_and_history(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "echo")
    for version in range(3):
        platform.gyrus("deploy", revision(project, version), "--yes")
    platform.gyrus("rollback", "echo")
    assert platform.ask("echo", {}).json == {"version": 1}
    platform.gyrus("rollback", "echo", "--to", "1")
    assert platform.ask("echo", {}).json == {"version": 0}
    assert "revision 7" in platform.failure("rollback", "echo", "--to", "7")
    assert [item["number"] for item in platform.json("history", "echo")] == [3, 2, 1]
    assert [item["number"] for item in platform.json("history", "echo") if item["live"]] == [1]


def test_a_deploy_supersedes_the_rollout_before_it(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "echo")
    platform.gyrus("deploy", revision(project, 0), "--yes")
    slow = project.write(
        handler_api("echo", config={"version": 1}),
        handler="import time\ntime.sleep(60)\n" + ECHO_REVISION,
    )
    platform.gyrus("deploy", slow, "--yes", "--no-wait")
    platform.gyrus("deploy", revision(project, 2), "--yes")
    assert platform.ask("echo", {}).json == {"version": 2}
    outcomes = [r["outcome"] for item in platform.json("history", "echo") for r in item["rollouts"]]
    assert outcomes == ["done", "superseded", "done"]


def test_an_unchanged_deploy_changes_nothing(platform: Platform, tmp_path: Path) -> None:
    folder = revision(Project(tmp_path / "echo"), 0)
    platform.gyrus("deploy", folder, "--yes")
    before = {r["status"]["id"] for r in platform.json("describe", "echo")["replicas"]}
    platform.gyrus("deploy", folder, "--yes")
    assert {r["status"]["id"] for r in platform.json("describe", "echo")["replicas"]} == before
    assert platform.json("get", "echo")["revision"] == 1


SLOW_TO_START = """
import time

class Handler:
    def __init__(self, config):
        time.sleep(config["seconds"])
        self.version = config["version"]

    def predict(self, payload):
        return {"version": self.version}
"""


async def test_what_is_live_serves_on_after_the_platform_was_stopped_within_an_update(
    platform: Platform, tmp_path: Path
) -> None:
    project = Project(tmp_path / "echo")
    for version, seconds in ((1, 0), (2, 60)):
        api = handler_api("echo", config={"version": version, "seconds": seconds}, compute={"cpu": "100m"})
        wait = "--wait" if version == 1 else "--no-wait"
        platform.gyrus("deploy", project.write(api, handler=SLOW_TO_START), "--yes", wait)
    platform.gyrus("down")
    platform.up()
    await until(lambda: platform.ask("echo", {}).status == 200, 30)
    assert platform.ask("echo", {}).json == {"version": 1}
    described = platform.json("describe", "echo")
    assert described["rollout"]["outcome"] == "progressing"
    assert sorted(replica["generation"] for replica in described["replicas"]) == [1, 2]
