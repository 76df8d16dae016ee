"""The port for Prometheus and probes."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gyrus.server import monitoring
from gyrus.server.monitoring import MonitoringContext, build_monitoring_app
from gyrus.state.board import Board
from gyrus.state.errors import StateError
from gyrus.state.sql.store import SqlStore


async def asked(store: SqlStore, path: str) -> httpx.Response:
    app = build_monitoring_app(MonitoringContext(store, Board()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://operator") as client:
        return await client.get(path)


async def test_metrics_and_health_need_no_token(store: SqlStore) -> None:
    metrics = await asked(store, "/metrics")
    assert metrics.status_code == 200
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "gyrus_replicas" in {family.name for family in text_string_to_metric_families(metrics.text)}
    for path in ("/healthz", "/readyz"):
        answered = await asked(store, path)
        assert (answered.status_code, answered.text) == (200, "ok\n")


async def test_nothing_else_is_there(store: SqlStore) -> None:
    for path in ("/", "/v1/apis", "/v1/metrics", "/openapi.json", "/docs"):
        assert (await asked(store, path)).status_code == 404


async def test_an_operator_whose_store_fails_is_alive_and_not_ready(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: SqlStore) -> None:
        raise StateError("the disk is full")

    monkeypatch.setattr(SqlStore, "apis", fail)
    answered = await asked(store, "/readyz")
    assert (answered.status_code, answered.text) == (503, "the store cannot be read: the disk is full\n")
    assert (await asked(store, "/healthz")).status_code == 200


async def test_an_operator_whose_store_hangs_is_not_ready(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: SqlStore) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(monitoring, "PATIENCE", 0.01)
    monkeypatch.setattr(SqlStore, "apis", hang)
    answered = await asked(store, "/readyz")
    assert (answered.status_code, answered.text) == (503, "the store does not answer within 0.01 s\n")
