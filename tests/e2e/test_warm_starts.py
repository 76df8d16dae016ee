"""An idle API has a fork server, and its next replica is a fork of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.looking import has_ended, until
from support.platform import Platform
from support.project import Project, handler_api

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks need Linux")

SOON_IDLE = {
    "min_replicas": 0,
    "window": "1s",
    "downscale_stabilization_period": "1s",
    "forecast": False,
}
IMPORTED_BY = """
import os

IMPORTED_BY = os.getpid()

class Handler:
    async def predict(self, payload):
        return [IMPORTED_BY, os.getpid()]
"""
WITH_A_THREAD = """
import threading, time
threading.Thread(target=time.sleep, args=(999,), name="watcher", daemon=True).start()
"""


def described(platform: Platform) -> Any:
    return platform.json("describe", "warm")


def because_of(platform: Platform) -> str:
    fork_server = described(platform)["fork_server"]
    return fork_server["because"] if fork_server else ""


async def deployed(platform: Platform, folder: Path, handler: str) -> None:
    api = handler_api("warm", autoscaling=SOON_IDLE, compute={"cpu": "100m"})
    project = Project(folder).write(api, handler=handler)
    await asyncio.to_thread(platform.gyrus, "deploy", project, "--yes")


async def idle_with_fork_server(platform: Platform) -> int:
    """Return the fork server's pid, once it is the only one."""

    def look() -> bool:
        reported = described(platform)
        is_warm = reported["fork_server"] is not None and reported["fork_server"]["phase"] == "ready"
        return is_warm and reported["api"]["status"] == "idle" and not reported["replicas"]

    await until(look, 60)
    return int(json.loads((platform.home.fork_servers / "warm-1" / "status.json").read_text())["pid"])


async def woken(platform: Platform) -> tuple[list[int], Any]:
    """What the first request to the idle API was answered, and the replica that did."""
    answer = await asyncio.to_thread(platform.ask, "warm", {})
    assert answer.status == 200, answer
    [replica] = described(platform)["replicas"]
    return answer.json, replica["status"]


async def killed_operator(platform: Platform) -> None:
    operator = psutil.Process(json.loads(platform.home.operator_file.read_text())["pid"])
    os.kill(operator.pid, signal.SIGKILL)
    await until(lambda: has_ended(operator))


async def test_an_idle_api_is_woken_by_a_fork(platform: Platform, tmp_path: Path) -> None:
    await deployed(platform, tmp_path / "warm", IMPORTED_BY)
    fork_server = await idle_with_fork_server(platform)
    (imported_by, worker), status = await woken(platform)
    assert status["start"] == "warm"
    assert (imported_by, worker) == (fork_server, status["processes"][0]["pid"])
    await until(lambda: {each["kind"] for each in described(platform)["starts"]} == {"cold", "warm"})
    assert "warm: forked from a process that has loaded the handler" in platform.gyrus("describe", "warm")


async def test_a_fork_server_outlives_the_operator_and_ends_with_the_platform(
    platform: Platform, tmp_path: Path
) -> None:
    await deployed(platform, tmp_path / "warm", IMPORTED_BY)
    fork_server = await idle_with_fork_server(platform)
    await killed_operator(platform)
    await asyncio.to_thread(platform.up)
    assert await idle_with_fork_server(platform) == fork_server
    (imported_by, _), status = await woken(platform)
    assert (imported_by, status["start"]) == (fork_server, "warm")
    await killed_operator(platform)
    await asyncio.to_thread(platform.gyrus, "down")
    assert platform.remains() == []


async def test_what_cannot_be_forked_starts_cold_and_reports_why(platform: Platform, tmp_path: Path) -> None:
    await deployed(platform, tmp_path / "warm", WITH_A_THREAD + IMPORTED_BY)
    because = "importing handler.py started 1 thread: watcher"
    await until(lambda: because_of(platform) == because, 60)
    await until(lambda: described(platform)["api"]["status"] == "idle", 60)
    (imported_by, worker), status = await woken(platform)
    assert imported_by == worker
    assert (status["start"], status["cold_because"]) == ("cold", because)
    assert f"Replicas start cold: {because}" in platform.gyrus("events", "warm")
