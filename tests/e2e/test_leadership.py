"""An operator that has lost its home's lock ends; traffic goes on; the next operator adopts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import psutil

from gyrus.operator.leadership import EXIT_CODE
from support.load import Load
from support.looking import has_ended, until
from support.platform import Platform, free_ports
from support.project import ECHO_REVISION, Project, handler_api

RATE = 100


def deploy(platform: Platform, folder: Path) -> None:
    api = handler_api("echo", config={"version": 0}, autoscaling={"min_replicas": 2}, max_concurrency=4)
    platform.gyrus("deploy", Project(folder).write(api, handler=ECHO_REVISION), "--yes")


def operator_of(platform: Platform) -> psutil.Process:
    return next(p for p in platform.processes() if "gyrus.operator" in p.cmdline())


def start_operator(platform: Platform, gateway_port: int, operator_port: int) -> subprocess.Popen[str]:
    """One that the command line knows nothing of."""
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "gyrus.operator", "--home", str(platform.home.root)),
            *("--gateway-port", str(gateway_port), "--operator-port", str(operator_port)),
        ],
        env=platform.environment,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


async def test_the_lock_file_is_removed(platform: Platform, tmp_path: Path) -> None:
    deploy(platform, tmp_path / "echo")
    before = platform.json("describe", "echo")["replicas"]
    envoy = next(p for p in platform.processes() if any("envoy" in word for word in p.cmdline()))
    operator = operator_of(platform)
    async with Load(platform.url("echo"), RATE) as load:
        operator.suspend()  # it cannot notice yet
        platform.home.lock.unlink()
        second = start_operator(platform, *free_ports(2))
        _, reported = await asyncio.to_thread(second.communicate, timeout=60)
        assert second.returncode == 1
        assert "Another operator already runs" in reported
        operator.resume()
        await until(lambda: has_ended(operator))
        log = platform.home.operator_log.read_text()
        assert log.count("this operator ends, replicas and gateway continue") == 1
        assert f"its lock file {platform.home.lock} is gone" in log
        assert "Traceback" not in log
        await asyncio.sleep(1)  # under load, without an operator
        await asyncio.to_thread(platform.up)
        await until(lambda: platform.json("get", "echo")["replicas"]["ready"] == 2)
        await asyncio.sleep(1)
    assert load.result.failed == (), load.result
    assert envoy.is_running()
    after = platform.json("describe", "echo")["replicas"]
    assert [r["status"]["pid"] for r in after] == [r["status"]["pid"] for r in before]
    assert platform.json("get", "echo")["status"] == "live"


async def test_the_lock_file_is_replaced_and_the_exit_code_shows_it(platform: Platform) -> None:
    first = operator_of(platform)
    first.kill()
    await until(lambda: has_ended(first))
    platform.home.operator_file.unlink(missing_ok=True)
    operator = start_operator(platform, platform.gateway_port, platform.operator_port)
    await until(platform.home.operator_file.exists)
    replacement = platform.home.lock.with_suffix(".other")
    replacement.touch()
    replacement.replace(platform.home.lock)
    await asyncio.to_thread(operator.communicate, timeout=30)
    assert operator.returncode == EXIT_CODE
    assert not platform.home.operator_file.exists()
    assert "has been replaced" in platform.home.operator_log.read_text()
    platform.up()
