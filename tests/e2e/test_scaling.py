"""Traffic decides how many replicas there are, and each change has a reason."""

from __future__ import annotations

import ssl
import urllib.request
from pathlib import Path

from support.load import Load
from support.looking import until
from support.platform import Platform
from support.project import Project, handler_api

SLOW = """
import asyncio

class Handler:
    async def predict(self, payload):
        await asyncio.sleep(0.2)
        return "done"
"""

QUICKLY = {
    "min_replicas": 0,
    "max_replicas": 3,
    "window": "1s",
    "upscale_stabilization_period": "1s",
    "downscale_stabilization_period": "5s",
}
"""As the defaults, in seconds instead of minutes."""


def requested(platform: Platform) -> int:
    return platform.json("get", "slow")["replicas"]["requested"]


def measured(platform: Platform) -> int:
    """Starts, cold and warm ones."""
    return sum(times["count"] for times in platform.json("describe", "slow")["starts"])


def average(platform: Platform) -> float:
    """Requests in flight, as the latest decision saw them. With two replicas some looks find none."""
    return platform.json("describe", "slow")["scaling"]["inputs"]["average"]


def metrics(platform: Platform) -> str:
    token = platform.home.token.read_text().strip()
    url = f"https://127.0.0.1:{platform.operator_port}/v1/metrics"
    trusting = ssl.create_default_context(cafile=platform.home.certificate)
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, context=trusting) as reported:
        return reported.read().decode()


async def test_replicas_come_with_the_traffic_and_go_with_it(platform: Platform, tmp_path: Path) -> None:
    api = handler_api("slow", autoscaling=QUICKLY, compute={"cpu": "100m"})
    platform.gyrus("deploy", Project(tmp_path / "slow").write(api, handler=SLOW), "--yes")
    assert "ReplicaReady" in [event["reason"] for event in platform.json("events", "slow")]
    async with Load(platform.url("slow"), 10, body=b"{}") as load:
        await until(lambda: platform.json("get", "slow")["replicas"]["ready"] >= 2, 60)
        assert platform.json("get", "slow")["status"] == "live"
        await until(lambda: average(platform) > 1, 20)
        await until(lambda: measured(platform) >= 2, 20)
    assert load.result.failed == (), load.result
    await until(lambda: requested(platform) == 0, 60)
    await until(lambda: platform.json("get", "slow")["status"] == "idle", 20)
    assert "Idle: no requests since" in platform.gyrus("get", "slow")
    events = platform.json("events", "slow")
    scaled = [event["message"] for event in events if event["reason"] in ("ScaledUp", "ScaledDown")]
    assert scaled[0].startswith("Scaled from 1 to ")
    assert scaled[-1].startswith("Scaled from 1 to 0: desired 0, set to 0")
    assert 'gyrus_replicas{api="slow",state="requested"} 0.0' in metrics(platform)
