"""The costs of a platform on one machine with a price."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from support.looking import until
from support.platform import Platform, platform_of_its_own
from support.project import ECHO_REVISION, Project, handler_api

REQUESTS = 20


def bill_of(costs: dict[str, Any], field: str) -> float:
    parts = [*(api["cost"] for api in costs["apis"]), costs["idle"], *costs["shared"].values()]
    return sum(part[field] for part in parts)


def requests_of(platform: Platform) -> int:
    return platform.json("cost", "echo")["requests"]


async def test_requests_cost_and_the_parts_are_the_bill_over_a_kill(tmp_path: Path) -> None:
    project = Project(tmp_path).write(handler_api("echo", config={"version": 7}), handler=ECHO_REVISION)
    with platform_of_its_own() as platform:
        platform.gyrus("down")
        platform.up("--price", "0.10")
        notes = platform.notes("deploy", project, "--yes")
        assert "echo may cost $" in notes
        for _ in range(REQUESTS):
            assert platform.ask("echo", {}).status == 200
        await until(lambda: requests_of(platform) == REQUESTS)
        costs = platform.json("cost")
        [echo] = costs["apis"]
        assert echo["cost"]["month"] > 0
        assert echo["per_1000_requests"] == pytest.approx(echo["cost"]["month"] * 1000 / REQUESTS)
        assert 0 < echo["idle_share"] <= 1
        assert costs["bill"]["per_hour"] == pytest.approx(0.1)
        for field in ("today", "month", "per_hour", "forecast"):
            assert bill_of(costs, field) == pytest.approx(costs["bill"][field], abs=1e-8)
        assert "COST/HOUR" in platform.gyrus("get")
        assert "per 1,000 requests" in platform.gyrus("describe", "echo")

        operator = psutil.Process(json.loads(platform.home.operator_file.read_text())["pid"])
        os.kill(operator.pid, signal.SIGKILL)
        operator.wait(10)
        platform.up()
        await until(lambda: platform.json("cost")["history"] > costs["history"])
        after = platform.json("cost")
        assert after["bill"]["month"] > costs["bill"]["month"]
        assert after["bill"]["month"] == pytest.approx(after["history"] * 0.1 / 3600, rel=1e-3)
        await until(lambda: requests_of(platform) == REQUESTS)


def test_without_a_price_the_remedy_is_named() -> None:
    with platform_of_its_own() as platform:
        assert platform.failure("cost") == (
            "error: The costs are unknown: no machine has a price.\n"
            "  Start the platform with the price of this machine: gyrus down, then gyrus up --price 0.10\n"
        )
        assert "COST/HOUR" not in platform.gyrus("get")
        assert platform.failure("up", "--price", "0.1").startswith(
            "error: The local platform is up without a price."
        )
