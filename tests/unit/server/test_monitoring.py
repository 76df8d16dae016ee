"""The port for Prometheus and probes."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gyrus.server import monitoring
from gyrus.server.monitoring import MonitoringContext, OperatorMonitor, build_monitoring_app
from gyrus.state.board import Board
from gyrus.state.errors import StateError
from gyrus.state.sql.store import SqlStore


class Database:
    """The database of an operator on standby."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault

    async def check(self) -> None:
        if self.fault:
            raise self.fault


async def asked(monitor: OperatorMonitor, path: str) -> httpx.Response:
    app = build_monitoring_app(monitor)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://operator") as client:
        return await client.get(path)


async def ready(monitor: OperatorMonitor) -> tuple[int, str]:
    answered = await asked(monitor, "/readyz")
    assert (await asked(monitor, "/healthz")).text == "ok\n", "it is alive in any case"
    return answered.status_code, answered.text


async def gauges(monitor: OperatorMonitor) -> dict[str, float]:
    """The values of the operator's own metrics."""
    metrics = await asked(monitor, "/metrics")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(metrics.text)
        for sample in family.samples
        if sample.name.startswith("gyrus_operator_")
    }


async def test_the_leader_has_the_metrics_of_all_apis(store: SqlStore) -> None:
    monitor = OperatorMonitor(None)
    with monitor.leading(MonitoringContext(store, Board())):
        metrics = await asked(monitor, "/metrics")
        assert "gyrus_replicas" in {each.name for each in text_string_to_metric_families(metrics.text)}
        assert await gauges(monitor) == {"gyrus_operator_leader": 1, "gyrus_operator_store_reachable": 1}
        assert await ready(monitor) == (200, "ok\n")


async def test_nothing_else_is_there(store: SqlStore) -> None:
    monitor = OperatorMonitor(None)
    with monitor.leading(MonitoringContext(store, Board())):
        for path in ("/", "/v1/apis", "/v1/metrics", "/openapi.json", "/docs"):
            assert (await asked(monitor, path)).status_code == 404


async def test_a_standby_is_ready_and_has_metrics() -> None:
    monitor = OperatorMonitor(Database())
    assert await ready(monitor) == (200, "ok\n")
    assert await gauges(monitor) == {"gyrus_operator_leader": 0, "gyrus_operator_store_reachable": 1}


async def test_a_standby_without_its_store_is_not_ready() -> None:
    monitor = OperatorMonitor(Database(StateError("connection refused")))
    assert await ready(monitor) == (503, "the store cannot be read: connection refused\n")
    assert await gauges(monitor) == {"gyrus_operator_leader": 0, "gyrus_operator_store_reachable": 0}


async def test_an_operator_is_not_ready_while_it_starts(store: SqlStore) -> None:
    monitor = OperatorMonitor(Database())
    monitor.begin()
    assert await ready(monitor) == (503, "it starts\n")
    with monitor.leading(MonitoringContext(store, Board())):
        assert await ready(monitor) == (200, "ok\n")


async def test_an_operator_that_is_alone_is_ready_only_when_it_leads() -> None:
    assert await ready(OperatorMonitor(None)) == (503, "it starts\n")


async def test_an_operator_whose_store_fails_is_alive_and_not_ready(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: SqlStore) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(SqlStore, "apis", fail)
    monitor = OperatorMonitor(None)
    with monitor.leading(MonitoringContext(store, Board())):
        assert await ready(monitor) == (503, "the store cannot be read: the disk is full\n")
        assert await gauges(monitor) == {"gyrus_operator_leader": 1, "gyrus_operator_store_reachable": 0}


async def test_an_operator_whose_store_hangs_is_not_ready(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: SqlStore) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(monitoring, "PATIENCE", 0.01)
    monkeypatch.setattr(SqlStore, "apis", hang)
    monitor = OperatorMonitor(None)
    with monitor.leading(MonitoringContext(store, Board())):
        assert await ready(monitor) == (503, "the store does not answer within 0.01 s\n")
