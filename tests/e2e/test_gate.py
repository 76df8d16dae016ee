"""Requests of an API without a replica wait for one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

from support.looking import has_ended, until
from support.platform import Platform, Reply
from support.project import Project, handler_api

COUNTING = """
class Handler:
    async def predict(self, payload):
        return len(payload) if isinstance(payload, bytes) else payload
"""
SLOW_TO_START = """
import time

class Handler:
    def __init__(self):
        time.sleep(3)

    async def predict(self, payload):
        return payload
"""
NEEDS_A_DATABASE = """
import os

class Handler:
    def __init__(self):
        if os.path.exists({fault!r}):
            raise RuntimeError("no database")

    async def predict(self, payload):
        return payload
"""
BROKEN = """
import absent_module

class Handler:
    def predict(self, payload):
        return payload
"""


def status(platform: Platform, api: str) -> str:
    return platform.json("get", api)["status"]


async def ask(platform: Platform, api: str, payload: object) -> Reply:
    return await asyncio.to_thread(platform.ask, api, payload)


def operator_pid(platform: Platform) -> int:
    return int(json.loads(platform.home.operator_file.read_text())["pid"])


async def send(platform: Platform, api: str, body: bytes) -> Reply:
    headers = {"content-type": "application/octet-stream"}
    return await asyncio.to_thread(lambda: platform.send(api, body, **headers))


async def killed(pid: int, how: signal.Signals) -> None:
    os.kill(pid, how)
    await until(lambda: has_ended(pid))


def held(platform: Platform, api: str) -> int:
    return platform.json("describe", api)["held"]


async def test_requests_to_an_idle_api_wake_it_and_are_answered(platform: Platform, tmp_path: Path) -> None:
    settings = {"min_replicas": 0, "window": "1s", "downscale_stabilization_period": "2s"}
    api = handler_api("idle", autoscaling=settings, compute={"cpu": "100m"})
    platform.gyrus("deploy", Project(tmp_path / "idle").write(api, handler=COUNTING), "--yes")
    await until(lambda: status(platform, "idle") == "idle", 60)
    sizes = (1, 1, 1, 1000, 20_000_000)
    answers = await asyncio.gather(*(send(platform, "idle", b"x" * size) for size in sizes))
    assert [(each.status, each.json) for each in answers] == [(200, size) for size in sizes]
    assert held(platform, "idle") == 0


async def test_last_replica_dies_and_requests_wait_for_the_next(platform: Platform, tmp_path: Path) -> None:
    api = handler_api("lone", compute={"cpu": "100m"})
    platform.gyrus("deploy", Project(tmp_path / "lone").write(api, handler=SLOW_TO_START), "--yes")
    [replica] = platform.json("describe", "lone")["replicas"]
    os.killpg(replica["status"]["pid"], signal.SIGKILL)
    await until(lambda: platform.json("get", "lone")["replicas"]["ready"] == 0)
    answers = await asyncio.gather(*(ask(platform, "lone", number) for number in range(20)))
    assert [each.status for each in answers] == [200] * 20


async def test_nothing_is_held_for_what_cannot_start(platform: Platform, tmp_path: Path) -> None:
    project = Project(tmp_path / "broken").write(handler_api("broken"), handler=BROKEN)
    platform.failure("deploy", project, "--yes")
    began = time.monotonic()
    answered = platform.ask("broken", {})
    assert time.monotonic() - began < 2
    assert answered.status == 503
    assert int(answered.headers["retry-after"]) > 0
    assert "absent_module" in answered.json["detail"]


async def test_held_requests_are_refused_when_the_platform_is_stopped(
    platform: Platform, tmp_path: Path
) -> None:
    await _deploy_never(platform, tmp_path)
    asked = asyncio.create_task(ask(platform, "never", {}))
    await until(lambda: held(platform, "never") == 1)
    await asyncio.to_thread(platform.gyrus, "down")
    answered = await asked
    assert answered.status == 503
    assert answered.headers["retry-after"]
    assert "The platform of API never is shutting down" in answered.json["detail"]


async def test_held_requests_survive_the_operators_restart(platform: Platform, tmp_path: Path) -> None:
    await _deploy_never(platform, tmp_path, wait=6)
    asked = asyncio.create_task(ask(platform, "never", {}))
    await until(lambda: held(platform, "never") == 1)
    await killed(operator_pid(platform), signal.SIGTERM)
    await asyncio.to_thread(platform.up)
    assert (await asked).status == 200


async def test_without_an_operator_a_cold_api_is_unavailable(platform: Platform, tmp_path: Path) -> None:
    await _deploy_never(platform, tmp_path)
    await killed(operator_pid(platform), signal.SIGKILL)
    while (answered := await ask(platform, "never", {})).status == 502:
        pass  # on a connection whose end the gateway has not seen yet
    assert answered.status == 503
    assert answered.headers["retry-after"]
    assert answered.json["type"] == "urn:gyrus:problem:no-replica"
    platform.up()


async def _deploy_never(platform: Platform, tmp_path: Path, wait: float = 600) -> None:
    """An API whose replica takes its time."""
    handler = SLOW_TO_START.replace("time.sleep(3)", f"time.sleep({wait})")
    project = Project(tmp_path / "never").write(handler_api("never"), handler=handler)
    platform.gyrus("deploy", project, "--yes", "--no-wait")


async def test_no_request_waits_for_a_replica_that_fails_again_and_again(
    platform: Platform, tmp_path: Path
) -> None:
    fault = tmp_path / "fault"
    handler = NEEDS_A_DATABASE.format(fault=str(fault))
    api = handler_api("looping", compute={"cpu": "100m"}, timeout="40s")
    platform.gyrus("deploy", Project(tmp_path / "looping").write(api, handler=handler), "--yes")
    fault.touch()
    [replica] = platform.json("describe", "looping")["replicas"]
    os.kill(replica["status"]["processes"][0]["pid"], signal.SIGKILL)
    await until(lambda: platform.json("get", "looping")["replicas"]["ready"] == 0)
    first = await ask(platform, "looping", 1)  # it waits until the replica has failed three times
    began = time.monotonic()
    second = await ask(platform, "looping", 1)
    assert time.monotonic() - began < 2
    for refused in (first, second):
        assert (refused.status, refused.json["type"]) == (503, "urn:gyrus:problem:no-replica")
        assert "RuntimeError: no database" in refused.json["detail"]
    fault.unlink()
    await until(lambda: platform.json("get", "looping")["replicas"]["ready"] == 1, 90)
    assert (await ask(platform, "looping", 1)).status == 200
