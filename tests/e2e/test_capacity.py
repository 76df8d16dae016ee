"""More than the machine has: which replicas wait, for what, and when they start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import psutil

from gyrus.spec.quantities import display_cores
from support.looking import until
from support.platform import Platform
from support.project import ECHO_REVISION, Project, handler_api


def capacity(platform: Platform) -> dict[str, Any]:
    return platform.json("version")["operator"]["capacity"]


def machine(platform: Platform) -> int:
    """Thousandths of the cores that replicas may ask for."""
    cores = capacity(platform)["total"]["cpu"]
    assert 0 < cores <= (os.cpu_count() or 1)
    return round(cores * 1000)


def api(name: str, cpu: int, version: int = 1) -> dict[str, Any]:
    """``cpu``: thousandths of a core."""
    return handler_api(name, config={"version": version}, compute={"cpu": f"{cpu}m"})


def message(platform: Platform, name: str) -> str:
    return platform.json("get", name)["message"]


def status(platform: Platform, name: str) -> str:
    return platform.json("get", name)["status"]


async def test_what_does_not_fit_waits_reports_for_what_and_starts_when_it_fits(
    platform: Platform, tmp_path: Path
) -> None:
    total = machine(platform)
    large, small = total * 3 // 4, total // 2
    platform.gyrus(
        "deploy", Project(tmp_path / "large").write(api("large", large), handler=ECHO_REVISION), "-y"
    )
    folder = Project(tmp_path / "small").write(api("small", small), handler=ECHO_REVISION)
    platform.gyrus("deploy", folder, "--yes", "--no-wait")
    reported = (
        f"waiting for capacity: needs {display_cores(small)} CPU, "
        f"{display_cores(total - large)} of {display_cores(total)} free "
        f"(1 replica of large holds {display_cores(large)})"
    )
    await until(lambda: message(platform, "small") == reported)
    assert f"small: {reported}" in platform.gyrus("get")
    assert reported in platform.gyrus("describe", "small")
    assert status(platform, "large") == "live"
    found = capacity(platform)
    assert (found["held"]["cpu"], found["waiting"]["cpu"]) == (large / 1000, small / 1000)
    assert "1 waits for" in platform.gyrus("version")

    kill_operator(platform)
    platform.up()
    await until(lambda: message(platform, "small") == reported)
    assert status(platform, "large") == "live"

    platform.gyrus("delete", "large", "--yes")
    await until(lambda: status(platform, "small") == "live", 60)
    assert platform.ask("small", {}).json == {"version": 1}
    found = capacity(platform)
    assert (found["held"]["cpu"], found["replicas"], found["replicas_waiting"]) == (small / 1000, 1, 0)
    platform.gyrus("delete", "small", "--yes")
    assert capacity(platform)["replicas"] == 0


def kill_operator(platform: Platform) -> None:
    operator = psutil.Process(platform.json("version")["operator"]["pid"])
    operator.kill()
    operator.wait(10)


async def test_an_update_on_a_full_machine_takes_the_old_replicas_place(
    platform: Platform, tmp_path: Path
) -> None:
    cpu = machine(platform) * 3 // 4
    for version in (1, 2):
        folder = Project(tmp_path / str(version)).write(api("whole", cpu, version), handler=ECHO_REVISION)
        platform.gyrus("deploy", folder, "--yes")
    assert platform.ask("whole", {}).json == {"version": 2}
    events = [event["reason"] for event in platform.json("describe", "whole")["events"]]
    assert events.count("MadeRoom") == 1
    assert "WaitingForCapacity" in events


def test_more_than_the_whole_machine_is_refused_unless_it_is_overcommitted(
    platform: Platform, tmp_path: Path
) -> None:
    total = machine(platform)
    folder = Project(tmp_path / "huge").write(api("huge", total + 1000), handler=ECHO_REVISION)
    assert (
        f"compute.cpu is {display_cores(total + 1000)}, and this machine has {display_cores(total)} cores; "
        "request less, or use gyrus up --overcommit, which does not count CPU and memory"
    ) in platform.failure("deploy", folder, "--yes")
    assert "Stop it first: gyrus down" in platform.failure("up", "--overcommit")

    platform.gyrus("down")
    platform.up("--overcommit")
    platform.gyrus("deploy", folder, "--yes")
    assert platform.ask("huge", {}).json == {"version": 1}
    assert "overcommitted" in platform.gyrus("version")
    assert "overcommitted" in platform.gyrus("up")
    assert capacity(platform)["overcommit"] is True
