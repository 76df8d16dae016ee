"""A trace is replayed on a real platform: at its times, with its work, and seen from both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.platform import Platform
from support.project import Project, handler_api

SLEEPER = """
import asyncio

class Handler:
    async def predict(self, payload):
        await asyncio.sleep(payload["seconds"])
        return {}
"""
PAYLOAD = '{"seconds": {service_time}}'


def write_trace(file: Path, rate: float, seconds: float, work: float) -> Path:
    """Evenly spread requests, each with as much work."""
    lines = [f"{number / rate:.4f},{work}" for number in range(int(rate * seconds))]
    file.write_text("\n".join(["time,service_time", *lines]))
    return file


def replay(platform: Platform, name: str, trace: Path, *arguments: str) -> dict[str, Any]:
    command = ("replay", name, "--trace", trace, "--service-time", "column", "--payload", PAYLOAD)
    return platform.json(*command, *arguments)


def deploy(platform: Platform, folder: Path, **changes: Any) -> Path:
    """The project's folder; the API is named like it."""
    project = Project(folder).write(handler_api(folder.name, **changes), handler=SLEEPER)
    platform.gyrus("deploy", project, "--yes")
    return project


def test_an_api_that_is_wide_enough_answers_in_its_service_time(
    shared_platform: Platform, tmp_path: Path
) -> None:
    deploy(shared_platform, tmp_path / "wide", max_concurrency=64)
    trace = write_trace(tmp_path / "trace.csv", rate=50, seconds=8, work=0.1)
    report = replay(shared_platform, "wide", trace, "--speed", "2x", "--slo", "1s")
    [figures] = report["policies"]
    assert (figures["answered"], figures["slo_misses"]) == (400, 0), report
    assert 0.1 <= figures["p50_latency"] < 0.2
    assert 3.9 <= report["seconds"] < 6
    assert figures["replica_seconds"] == pytest.approx(report["seconds"], rel=0.05)


def test_what_an_api_cannot_take_waits_and_is_then_refused(shared_platform: Platform, tmp_path: Path) -> None:
    fixed = {"min_replicas": 1, "max_replicas": 1}
    deploy(shared_platform, tmp_path / "narrow", max_concurrency=1, max_queue_length=3, autoscaling=fixed)
    trace = write_trace(tmp_path / "trace.csv", rate=20, seconds=3, work=0.2)
    report = replay(shared_platform, "narrow", trace)
    [figures] = report["policies"]
    [trouble] = report["troubles"]
    assert trouble["cause"] == "503 queue-full"
    assert trouble["requests"] == figures["refused"]
    assert figures["answered"] + figures["refused"] == 60
    assert 14 <= figures["answered"] <= 20  # five a second, and the queue at the end
    assert 0.7 <= figures["p95_latency"] <= 1.2  # three before it in the queue


def test_the_simulator_foretells_a_queue(shared_platform: Platform, tmp_path: Path) -> None:
    fixed = {"min_replicas": 2, "max_replicas": 2}
    deploy(shared_platform, tmp_path / "pair", max_concurrency=1, max_queue_length=1000, autoscaling=fixed)
    trace = write_trace(tmp_path / "trace.csv", rate=12, seconds=5, work=0.2)
    arguments = ("--trace", trace, "--service-time", "column", "--startup", "1s")
    simulated = shared_platform.json("simulate", tmp_path / "pair", *arguments)["policies"][0]
    real = replay(shared_platform, "pair", trace)["policies"][0]
    assert real["replica_seconds"] == pytest.approx(simulated["replica_seconds"], rel=0.1)
    assert real["p95_latency"] == pytest.approx(simulated["p95_latency"], rel=0.2)
