"""Named tokens: what they open, and that they end."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from gyrus.server.context import ServerContext
from gyrus.server.tokens import PREFIX
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.sql.store import SqlStore


async def create(client: httpx.AsyncClient, name: str, **settings: Any) -> str:
    answer = await client.post("/tokens", json={"name": name, **settings})
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert created["name"] == name
    return created["token"]


def header(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def process(name: str = "iris") -> dict[str, Any]:
    return {"name": name, "process": {"command": ["serve"]}}


def deployment() -> dict[str, Any]:
    return {"apis": [process()], "package": None}


async def test_a_token_opens_the_api_and_is_kept_as_a_digest(
    client: httpx.AsyncClient, store: SqlStore
) -> None:
    token = await create(client, "ci")
    assert token.startswith(PREFIX)
    assert (await client.get("/apis", headers=header(token))).status_code == 200
    (stored,) = await store.tokens()
    assert token not in repr(stored)
    assert stored.created_by == "token admin"


async def test_the_list_has_no_token(client: httpx.AsyncClient) -> None:
    tokens = [await create(client, "b", read_only=True), await create(client, "a")]
    answer = await client.get("/tokens")
    assert [(each["name"], each["read_only"], each["created_by"]) for each in answer.json()] == [
        ("a", False, "token admin"),
        ("b", True, "token admin"),
    ]
    assert not any(token in answer.text for token in tokens)


async def test_acts_are_recorded_with_the_token_s_name(
    client: httpx.AsyncClient, store: SqlStore, events: EventRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    token = await create(client, "ci")
    acts = (("POST", "/deployments", deployment()), ("POST", "/apis/iris/refresh", None))
    for method, path, body in (*acts, ("DELETE", "/apis/iris", None)):
        answer = await client.request(method, path, json=body, headers=header(token))
        assert answer.is_success, answer.text
    await events.flushed()
    messages = [event.message for event in await store.events("iris")]
    assert messages == [
        "Revision 1 deployed by token ci",
        "Replacement of the replicas of revision 1 requested by token ci",
        "Deletion requested by token ci",
    ]
    assert [record.getMessage() for record in caplog.records if record.name == "gyrus.server.audit"] == [
        f"iris: {message}" for message in messages
    ]
    assert "token admin created the token ci" in caplog.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/deployments"),
        ("PUT", f"/packages/{'0' * 64}"),
        ("POST", "/apis/iris/rollback"),
        ("DELETE", "/apis/iris"),
        ("POST", "/stop"),
        ("POST", "/tokens"),
        ("DELETE", "/tokens/reader"),
    ],
)
async def test_a_read_only_token_changes_nothing(
    client: httpx.AsyncClient, stopped: asyncio.Event, method: str, path: str
) -> None:
    token = await create(client, "reader", read_only=True)
    answer = await client.request(method, path, json={}, headers=header(token))
    assert answer.status_code == 403
    assert answer.json() == {
        "type": "urn:gyrus:problem:read-only-token",
        "title": "The token may only read",
        "status": 403,
        "detail": f"The token reader may only read, and {method} /v1{path} changes something. "
        "Use a token that was created without --read-only.",
    }
    assert not stopped.is_set()


async def test_a_read_only_token_gets_no_package(client: httpx.AsyncClient) -> None:
    token = await create(client, "reader", read_only=True)
    path = f"/packages/{'0' * 64}"
    answer = await client.get(path, headers=header(token))
    assert answer.status_code == 403
    assert answer.json()["detail"] == (
        f"The token reader may only read, and GET /v1{path} returns the files of an API. Use a token that "
        "was created without --read-only."
    )


@pytest.mark.parametrize("path", ["/info", "/apis", "/metrics", "/tokens"])
async def test_a_read_only_token_reads(client: httpx.AsyncClient, path: str) -> None:
    token = await create(client, "reader", read_only=True)
    assert (await client.get(path, headers=header(token))).status_code == 200


async def test_a_revoked_token_opens_nothing(client: httpx.AsyncClient, store: SqlStore) -> None:
    token = await create(client, "ci")
    assert (await client.delete("/tokens/ci")).status_code == 204
    answer = await client.get("/apis", headers=header(token))
    ((revoked_at,),) = [[each.revoked_at] for each in await store.tokens()]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json() == {
        "type": "urn:gyrus:problem:revoked-token",
        "title": "The token was revoked",
        "status": 401,
        "detail": f"The token ci was revoked on {revoked_at:%Y-%m-%d %H:%M:%S} UTC. "
        "Ask for another one: gyrus token create NAME.",
    }
    assert (await client.get("/tokens")).json() == []
    assert await create(client, "ci") != token


async def test_a_revocation_ends_open_streams(remote: httpx.AsyncClient) -> None:
    token, other = await create(remote, "ci"), await create(remote, "other")

    async def follow(token: str) -> None:
        async with remote.stream("GET", "/watch", headers=header(token)) as stream:
            opened.release()
            async for _ in stream.aiter_bytes():
                pass

    opened = asyncio.Semaphore(0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        ended = group.create_task(follow(token), name="stream of ci")
        open_still = group.create_task(follow(other), name="stream of other")
        for _ in range(2):
            await opened.acquire()
        assert (await remote.delete("/tokens/ci")).status_code == 204
        await ended
        assert not open_still.done()
        open_still.cancel()


async def test_a_wrong_token(client: httpx.AsyncClient, context: ServerContext) -> None:
    answer = await client.get("/apis", headers=header("gyrus_wrong"))
    assert answer.json() == {
        "type": "urn:gyrus:problem:unauthorized",
        "title": "The token is missing or wrong",
        "status": 401,
        "detail": f"The operator does not know the token. Send {context.token_source}.",
    }


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "detail"),
    [
        (
            "POST", "/tokens", {"name": "Ci Token"}, 400,
            "name: 'Ci Token' is not the name of a token; write up to 63 lower-case letters, digits and -",
        ),
        (
            "POST", "/tokens", {"name": "admin"}, 409,
            "admin is the platform's first token. Choose another name.",
        ),
        (
            "DELETE", "/tokens/none", None, 404,
            "There is no token named none; `gyrus token list` lists those that exist.",
        ),
        (
            "DELETE", "/tokens/admin", None, 409,
            "admin is the platform's first token and cannot be revoked. Replace it: on one machine, "
            "each start does; on Kubernetes, delete the key token of the Secret gyrus-operator-secrets, and "
            "run gyrus cluster install.",
        ),
    ],
)  # fmt: skip
async def test_what_is_refused(
    client: httpx.AsyncClient, method: str, path: str, body: Any, status: int, detail: str
) -> None:
    answer = await client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["detail"]) == (status, detail)


async def test_another_operator_knows_the_tokens(
    client: httpx.AsyncClient, context: ServerContext, app: FastAPI
) -> None:
    from gyrus.server.app import build_app

    token = await create(client, "ci")
    transport = httpx.ASGITransport(build_app(context))
    async with httpx.AsyncClient(transport=transport, base_url="http://next/v1") as later:
        assert (await later.get("/apis", headers=header(token))).status_code == 200
