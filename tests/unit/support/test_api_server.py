"""The API server's object storage in memory behaves as the client expects of a real one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest
import pytest_asyncio

from gyrus.kubernetes.client import ClusterClient, EventType
from gyrus.kubernetes.errors import AlreadyExists, ObjectConflict, ObjectNotFound, VersionGone
from gyrus.kubernetes.resources import APIS, DISRUPTION_BUDGETS, PODS, Manifest, version_of
from support.api_server import ApiServer


def api(name: str = "iris", **labels: str) -> Manifest:
    metadata = {"name": name, "namespace": "ml", "labels": labels}
    return {"apiVersion": "gyrus.dev/v1", "kind": "API", "metadata": metadata, "spec": {"kind": "A"}}


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest_asyncio.fixture
async def client(server: ApiServer) -> AsyncGenerator[ClusterClient]:
    async with server.client() as made:
        yield made


async def test_every_change_has_a_version_and_that_of_the_spec_a_generation(client: ClusterClient) -> None:
    created = await client.create(api())
    assert created["metadata"]["generation"] == 1
    reported = await client.patch_status(APIS, "iris", {"status": "live"}, "ml")
    assert (reported["spec"], reported["status"]) == ({"kind": "A"}, {"status": "live"})
    assert (reported["metadata"]["generation"], version_of(reported)) == (1, "2")
    changed = await client.patch(APIS, "iris", {"spec": {"kind": "B"}, "status": {"status": "lost"}}, "ml")
    assert (changed["metadata"]["generation"], changed["status"]) == (2, {"status": "live"})
    same = await client.patch(APIS, "iris", {"spec": {"kind": "B"}}, "ml")
    assert version_of(same) == version_of(changed)


async def test_conflicts(client: ClusterClient) -> None:
    created = await client.create(api())
    with pytest.raises(AlreadyExists):
        await client.create(api())
    await client.patch(APIS, "iris", {"spec": {"kind": "B"}}, "ml")
    with pytest.raises(ObjectConflict):
        await client.replace(created)
    with pytest.raises(ObjectConflict):
        await client.delete(APIS, "iris", "ml", uid="another")
    await client.delete(APIS, "iris", "ml", uid=created["metadata"]["uid"])
    with pytest.raises(ObjectNotFound):
        await client.get(APIS, "iris", "ml")


async def test_a_list_has_the_selected_objects_of_a_namespace(client: ClusterClient) -> None:
    await client.create(api("a", owner="cli"))
    await client.create(api("b"))
    listed = await client.list(APIS, "ml", labels="owner=cli")
    assert [item["metadata"]["name"] for item in listed.items] == ["a"]
    assert (await client.list(APIS, "other")).items == ()


async def test_a_watch_resumes_or_fails_with_410(server: ApiServer, client: ClusterClient) -> None:
    await client.create(api("a"))
    listed = await client.list(APIS, "ml")
    await client.create(api("b"))
    await client.delete(APIS, "a", "ml")
    async with aclosing(client.watch(APIS, "ml", version=listed.version)) as events:
        seen = [await anext(events) for _ in range(2)]
    assert [(event.type, event.object["metadata"]["name"]) for event in seen] == [
        (EventType.ADDED, "b"),
        (EventType.DELETED, "a"),
    ]
    server.forget_history()
    async with aclosing(client.watch(APIS, "ml", version=listed.version)) as events:
        with pytest.raises(VersionGone):
            await anext(events)


async def test_what_an_object_owns_ends_with_it(server: ApiServer, client: ClusterClient) -> None:
    owner = await client.create(api())
    owned = {"name": "b", "namespace": "ml", "ownerReferences": [{"uid": owner["metadata"]["uid"]}]}
    server.put(DISRUPTION_BUDGETS, {"metadata": owned})
    await client.delete(APIS, "iris", "ml")
    assert server.objects == {}


async def test_it_serves_some_kinds_only(client: ClusterClient) -> None:
    assert await client.has(APIS)
    assert not await client.has(PODS)
    with pytest.raises(ObjectNotFound):
        await client.list(PODS, "ml")
