"""kill -9 of each process in turn, under load."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import psutil

from support.load import Load
from support.looking import has_ended, until
from support.platform import Platform
from support.project import ECHO_REVISION, Project, handler_api

RATE = 200


def deploy(platform: Platform, folder: Path, **changes: object) -> None:
    api = handler_api(
        "echo", config={"version": 0}, autoscaling={"min_replicas": 2}, max_concurrency=4, **changes
    )
    platform.gyrus("deploy", Project(folder).write(api, handler=ECHO_REVISION), "--yes")


def process(platform: Platform, word: str) -> psutil.Process:
    """The process of this home with this word in its command line."""
    return next(p for p in platform.processes() if any(word in part for part in p.cmdline()))


def ready(platform: Platform) -> int:
    return platform.json("get", "echo")["replicas"]["ready"]


async def test_a_replica_of_two_is_killed_and_no_idempotent_request_fails(
    platform: Platform, tmp_path: Path
) -> None:
    deploy(platform, tmp_path / "echo", idempotent=True)
    async with Load(platform.url("echo"), RATE) as load:
        await asyncio.sleep(1)
        for _ in range(2):
            process(platform, "gyrus.runtime.worker").kill()
            await until(lambda: "Killed" in platform.gyrus("describe", "echo"))
            await until(lambda: ready(platform) == 2)
        supervisor = process(platform, "gyrus.runtime.supervisor")
        os.killpg(supervisor.pid, signal.SIGKILL)
        await until(lambda: has_ended(supervisor))
        await until(lambda: ready(platform) == 2)
        await asyncio.sleep(1)
    assert load.result.failed == (), load.result
    described = platform.json("describe", "echo")
    assert sum(replica["status"]["restarts"] for replica in described["replicas"]) >= 2


async def test_the_operator_is_killed_and_the_next_one_adopts_what_runs(
    platform: Platform, tmp_path: Path
) -> None:
    deploy(platform, tmp_path / "echo")
    before = platform.json("describe", "echo")["replicas"]
    envoy = process(platform, "envoy")
    async with Load(platform.url("echo"), RATE) as load:
        await asyncio.sleep(1)
        process(platform, "gyrus.operator").kill()
        await asyncio.sleep(1)
        await asyncio.to_thread(platform.up)
        await until(lambda: ready(platform) == 2)
        await asyncio.sleep(2)
    assert load.result.failed == (), load.result
    assert envoy.is_running()
    after = platform.json("describe", "echo")["replicas"]
    assert [r["status"]["pid"] for r in after] == [r["status"]["pid"] for r in before]
    assert platform.json("get", "echo")["status"] == "live"


async def test_an_acknowledged_deploy_survives_the_operator(platform: Platform, tmp_path: Path) -> None:
    deploy(platform, tmp_path / "echo")
    project = Project(tmp_path / "echo")
    api = handler_api("echo", config={"version": 1}, autoscaling={"min_replicas": 2}, max_concurrency=4)
    platform.gyrus("deploy", project.write(api), "--yes", "--no-wait")
    process(platform, "gyrus.operator").kill()
    platform.up()
    await until(lambda: platform.json("get", "echo")["status"] == "live")
    assert platform.ask("echo", {}).json == {"version": 1}


async def test_the_killed_gateway_is_back_within_two_seconds(platform: Platform, tmp_path: Path) -> None:
    deploy(platform, tmp_path / "echo")
    process(platform, "envoy").kill()
    killed = time.monotonic()
    async with Load(platform.url("echo"), RATE) as load:
        while not any(answer.ok for answer in load.result.answers):
            assert time.monotonic() - killed < 2, "the gateway was not back within 2 s"
            await asyncio.sleep(0.01)
        await asyncio.sleep(2)
    last_failure = max((a.due + a.latency for a in load.result.failed), default=0.0)
    assert last_failure < 2
    assert "envoy" in platform.home.operator_log.read_text().lower()
    assert json.loads(platform.gyrus("predict", "echo", "{}")) == {"version": 0}
