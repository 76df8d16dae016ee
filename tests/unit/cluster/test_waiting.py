"""The wait for the end of objects, against the storage of an API server in memory."""

from __future__ import annotations

import asyncio

import pytest

from gyrus.aio.clock import SystemClock
from gyrus.cluster.errors import NotHealthy
from gyrus.cluster.waiting import UntilGone
from gyrus.kubernetes.reflector import Selection
from gyrus.kubernetes.resources import PODS, Manifest
from support.api_server import ApiServer
from support.upstreams import until

REPLICAS = Selection(resource=PODS, namespace="ml")
RUNNING: Manifest = {"running": {}}
ENDED: Manifest = {"terminated": {"exitCode": 0}}


def statuses(state: Manifest) -> Manifest:
    return {"containerStatuses": [{"name": "a", "state": state}]}


def put(server: ApiServer, name: str, state: Manifest) -> None:
    metadata = {"name": name, "namespace": "ml", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    server.put(PODS, {"metadata": metadata, "status": statuses(state)})


async def test_it_ends_with_the_last_object_and_a_record_counts_as_gone() -> None:
    server = ApiServer(served=(PODS,))
    put(server, "first", RUNNING)
    put(server, "second", RUNNING)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        until_gone = UntilGone(server.client(), SystemClock(), 9.0)
        waiting = group.create_task(until_gone(REPLICAS), name="wait")
        await until(lambda: server.watched)
        server.remove(PODS, "first", "ml")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.05)
        await server.client().patch_status(PODS, "second", statuses(ENDED), "ml")


async def test_what_is_left_is_named() -> None:
    server = ApiServer(served=(PODS,))
    put(server, "running", RUNNING)
    put(server, "ended", ENDED)
    with pytest.raises(NotHealthy) as fault:
        await UntilGone(server.client(), SystemClock(), 0.05)(REPLICAS)
    assert fault.value.message == "Pod running is still there after 0 s."
    assert fault.value.remedy == "See: kubectl describe pods --namespace ml"
