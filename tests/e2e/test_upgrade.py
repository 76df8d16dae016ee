"""An operator of the commit before is replaced by today's: what runs is adopted, and no request fails."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from support.earlier import command_of, is_known
from support.load import Load
from support.looking import has_ended, until
from support.platform import GYRUS, Platform, platform_of_its_own
from support.project import ECHO_REVISION, Project, handler_api

EARLIER = "f4398a2afabb"
"""The last commit with the first layout of names, stored specifications and Envoy's clusters."""
RATE = 100

pytestmark = pytest.mark.skipif(not is_known(EARLIER), reason=f"the history does not reach back to {EARLIER}")


@pytest.fixture
def earlier(tmp_path: Path) -> Generator[Platform]:
    """A platform of the earlier code. At the end, today's ends it."""
    folder = tmp_path / "earlier"
    folder.mkdir()
    with platform_of_its_own(at_start=command_of(EARLIER, folder)) as platform:
        yield platform


def echo(version: int) -> dict[str, object]:
    autoscaling = {"min_replicas": 2}
    return handler_api("echo", config={"version": version}, autoscaling=autoscaling, max_concurrency=4)


def nap() -> dict[str, object]:
    """An API that is idle soon, and has a fork server."""
    soon = {"window": "1s", "panic_window": "1s", "downscale_stabilization_period": "1s", "forecast": False}
    return handler_api("nap", config={"version": 7}, autoscaling={"min_replicas": 0, **soon})


def supervisors(platform: Platform) -> list[int]:
    """Process ids of the replicas' supervisors."""
    return sorted(
        process.pid
        for process in platform.processes()
        if any("gyrus.runtime.supervisor" in word for word in process.cmdline())
    )


def operator(platform: Platform) -> psutil.Process:
    return next(p for p in platform.processes() if {"gyrus.assembly", "gyrus.operator"} & set(p.cmdline()))


async def test_what_runs_is_adopted_and_no_request_fails(earlier: Platform, tmp_path: Path) -> None:
    today = replace(earlier, command=GYRUS)
    project = Project(tmp_path / "project")
    earlier.gyrus("deploy", project.write(echo(1), nap(), handler=ECHO_REVISION), "--yes")
    earlier.gyrus("deploy", project.write(echo(2), nap(), handler=ECHO_REVISION), "--yes")
    await until(lambda: earlier.json("get", "nap")["status"] == "idle")
    await until(lambda: len(supervisors(earlier)) == 2)  # the first revision's have drained
    before, pids = earlier.json("get", "echo"), supervisors(earlier)
    envoy = next(p for p in earlier.processes() if "--restart-epoch" in p.cmdline())

    async with Load(earlier.url("echo"), RATE) as load:
        await asyncio.sleep(1)
        ending = operator(earlier)
        ending.terminate()
        await until(lambda: has_ended(ending))
        await asyncio.to_thread(today.up)
        await until(lambda: today.json("get", "echo")["status"] == "live")

        # A command that blocks the loop would delay the load, and then send it in one burst.
        after = await asyncio.to_thread(today.json, "get", "echo")
        assert (after["revision"], after["replicas"]) == (before["revision"], before["replicas"])
        assert await asyncio.to_thread(supervisors, today) == pids
        assert envoy.is_running()
        # Packages no longer contain the YAML file, so the same folder is a new revision, but only once.
        await asyncio.to_thread(today.gyrus, "deploy", tmp_path / "project", "--yes")
        unchanged = await asyncio.to_thread(today.gyrus, "deploy", tmp_path / "project", "--yes")
        assert (await asyncio.to_thread(today.json, "get", "echo"))["revision"] == 3, unchanged

        changed = project.write(echo(3), nap(), handler=ECHO_REVISION)
        await asyncio.to_thread(today.gyrus, "deploy", changed)
        await asyncio.sleep(1)
    assert load.result.failed == (), load.result
    assert today.ask("echo", {}).json == {"version": 3}
    assert today.ask("nap", {}).json == {"version": 7}
    assert not set(supervisors(today)) & set(pids)
    today.gyrus("rollback", "echo")
    assert today.ask("echo", {}).json == {"version": 2}
