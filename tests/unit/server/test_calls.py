"""Every call that is answered at once."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families

from gyrus.aio.clock import SystemClock
from gyrus.contract.operator import ApiOwner, Outcome, ScalingView, StartupTimes, TrafficView
from gyrus.contract.replica import Phase, ReplicaStatus, StartKind
from gyrus.server.app import build_app
from gyrus.server.context import ServerContext
from gyrus.server.platform import REFUSED_IN_A_CLUSTER
from gyrus.spec.api import ApiSpec
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import Board, PoolTraffic, Replica, Traffic
from gyrus.state.errors import StorageFull
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.gateway_load import GatewayLoad, LimitUse
from gyrus.state.histogram import BOUNDS
from gyrus.state.memory import MemoryStore
from gyrus.state.records import UNNAMED, Api, Author, Event
from gyrus.state.sql.store import SqlStore
from gyrus.state.store import Change
from support.recorder import recording
from support.routes import pools_of, route_to

Json = dict[str, Any]


def process(name: str = "iris", **fields: Any) -> Json:
    """An API that needs no files."""
    return {"name": name, "process": {"command": ["serve"]}, **fields}


def archive(content: bytes = b"class Handler: ...") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("handler.py")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def deploy(client: httpx.AsyncClient, *apis: Json, package: str | None = None) -> httpx.Response:
    return await client.post("/deployments", json={"apis": apis, "package": package})


async def recorded(events: EventRecorder, store: SqlStore) -> list[Event]:
    """What is stored, each event as often as it has happened."""
    await events.flushed()
    return [event for event in await store.events("iris") for _ in range(event.count)]


async def finish(store: SqlStore, outcome: Outcome, message: str = "", name: str = "iris") -> Api:
    api = await store.api(name)
    assert api
    return await store.finish(api, outcome, message, datetime.now(UTC))


def problem(response: httpx.Response, status: int, slug: str) -> str:
    """The detail of the problem that this must be."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert (document["type"], document["status"]) == (f"urn:gyrus:problem:{slug}", status)
    assert document["title"]
    return document["detail"]


class TestToken:
    @pytest.mark.parametrize(
        "header", [None, "", "Bearer", "Bearer wrong", "Basic a-secret", "a-secret", "Bearer é"]
    )
    @pytest.mark.parametrize("path", ["/info", "/apis", "/openapi.json", "/nothing-here"])
    async def test_nothing_is_shown_without_it(
        self, client: httpx.AsyncClient, tmp_path: Path, header: str | None, path: str
    ) -> None:
        headers = [] if header is None else [(b"authorization", header.encode())]
        client.headers.pop("authorization")
        response = await client.get(path, headers=headers)
        assert str(tmp_path / "token") in problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"

    async def test_nothing_is_done_without_it(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        response = await client.post(
            "/deployments", json={"apis": [process()], "package": None}, headers={"authorization": "Bearer x"}
        )
        problem(response, 401, "unauthorized")
        assert await store.apis() == ()

    async def test_the_scheme_may_be_written_in_any_case(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/info", headers={"authorization": "bearer a-secret"})).status_code == 200


class TestPlatform:
    async def test_info(self, client: httpx.AsyncClient) -> None:
        reported = (await client.get("/info")).json()
        assert (reported["version"], reported["gateway"]) == ("1.2.3", "http://127.0.0.1:8080")

    async def test_stop(self, client: httpx.AsyncClient, stopped: asyncio.Event) -> None:
        assert (await client.post("/stop")).status_code == 202
        assert stopped.is_set()

    async def test_a_cluster_refuses_to_stop(self, context: ServerContext, stopped: asyncio.Event) -> None:
        app = build_app(replace(context, stop_refusal=REFUSED_IN_A_CLUSTER))
        headers = {"authorization": f"Bearer {context.token}"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), headers=headers) as client:
            answered = await client.post("http://operator/v1/stop")
        assert answered.status_code == 403
        assert answered.json()["detail"] == (
            "A cluster's operator is not stopped by a request, because the cluster would start it again. "
            "To remove gyrus from the cluster, run `gyrus cluster uninstall`; `gyrus down` stops the "
            "platform of your own machine."
        )
        assert not stopped.is_set()

    async def test_unknown_route_and_method(self, client: httpx.AsyncClient) -> None:
        assert "GET /v1/nothing" in problem(await client.get("/nothing"), 404, "not-found")
        response = await client.patch("/apis")
        problem(response, 405, "method-not-allowed")
        assert response.headers["allow"] == "GET"


class TestEvents:
    async def test_the_latest_since_then(
        self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder
    ) -> None:
        await deploy(client, process())
        await events.flushed()
        for second in range(3):
            time = datetime(2999, 1, 1, 0, 0, second, tzinfo=UTC)
            await store.record(Event(api="iris", time=time, type="normal", reason=f"R{second}", message=""))

        async def reasons(**query: float) -> list[str]:
            answer = await client.get("/apis/iris/events", params=query)
            return [event["reason"] for event in answer.json()]

        assert await reasons() == ["Deployed", "R0", "R1", "R2"]
        assert await reasons(limit=2) == ["R1", "R2"]
        assert await reasons(since=datetime(2999, 1, 1, 0, 0, 1, tzinfo=UTC).timestamp()) == ["R1", "R2"]
        assert await reasons(since=datetime(2999, 1, 2, tzinfo=UTC).timestamp()) == []

    async def test_those_after_an_id(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        await deploy(client, process())
        (first,) = (await client.get("/apis/iris/events")).json()
        time = datetime(2999, 1, 1, tzinfo=UTC)
        event = Event(api="iris", time=time, type="normal", reason="R", message="")
        (stored,) = await store.record(event)
        (second,) = (await client.get("/apis/iris/events", params={"after": first["id"]})).json()
        assert (second["id"], second["count"], second["first_time"]) == (stored.id, 1, None)
        await store.record(replace(stored, time=time + timedelta(seconds=5)))
        (again,) = (await client.get("/apis/iris/events", params={"after": second["id"]})).json()
        assert again["id"] > second["id"]
        assert (again["count"], again["first_time"]) == (2, "2999-01-01T00:00:00.000Z")
        assert (await client.get("/apis/iris/events", params={"after": again["id"]})).json() == []

    async def test_an_act_is_among_them_at_once(
        self, client: httpx.AsyncClient, events: EventRecorder
    ) -> None:
        events.every = 0.2
        await deploy(client, process())
        reported = (await client.get("/apis/iris/events")).json()
        assert [event["reason"] for event in reported] == ["Deployed"]

    async def test_wrong_questions(self, client: httpx.AsyncClient) -> None:
        problem(await client.get("/apis/iris/events"), 404, "unknown-api")
        problem(await client.get("/apis/iris/events?limit=1001"), 400, "bad-request")
        problem(await client.get("/apis/iris/events?after=-1"), 400, "bad-request")
        problem(await client.get(f"/apis/iris/events?after={2**63}"), 400, "bad-request")


class TestMetrics:
    async def test_they_are_authorised_like_all_calls(self, client: httpx.AsyncClient) -> None:
        client.headers.pop("authorization")
        problem(await client.get("/metrics"), 401, "unauthorized")

    async def test_what_is_on_the_board(self, client: httpx.AsyncClient, board: Board) -> None:
        await deploy(client, process(), process("text"))
        board.traffic["iris"] = Traffic(in_flight=5)
        board.dropped_events["iris"] = 4
        board.gateway_load = GatewayLoad(
            connections=LimitUse(used=7, most=100, refused=2),
            bodies={"large": LimitUse(used=1, most=4)},
            resets=3,
        )
        board.hold_load = {"requests": LimitUse(used=2, most=10, refused=6)}
        for seconds in (0.002, 0.02, 40.0):
            board.acknowledgements.add(seconds)
        board.traffic["gone"] = Traffic(in_flight=9)
        board.held["iris"] = 2
        board.scaling["iris"] = ScalingView(time="", was=1, desired=7, replicas=2, rule="r", message="")
        board.decisions["iris"] = Counter({("r", "up"): 3, ("", "stay"): 8})
        board.starts["iris"] = (StartupTimes(kind=StartKind.WARM, median=0.25, last=1, count=2),)
        shares = pools_of("iris", ["unix:/old"], ["unix:/new"], weights=(7500, 2500))
        board.routes["iris"] = replace(route_to("iris"), shares=shares)
        view = TrafficView(requests=9, by_code={"2xx": 8, "5xx": 1}, p50=20.0, p99=40.0)
        pools = {"iris/1": PoolTraffic(in_flight=3, view=view), "iris/2": PoolTraffic(in_flight=2)}
        board.traffic["iris"] = Traffic(in_flight=5, pools=pools)
        answer = await client.get("/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        samples = {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }
        assert samples == {
            ("gyrus_gateway_used", "connections"): 7,
            ("gyrus_gateway_used", "large_bodies"): 1,
            ("gyrus_gateway_limit", "connections"): 100,
            ("gyrus_gateway_limit", "large_bodies"): 4,
            ("gyrus_gateway_refused_total", "connections"): 2,
            ("gyrus_gateway_refused_total", "large_bodies"): 0,
            ("gyrus_gateway_refused_total", "memory"): 3,
            ("gyrus_gateway_acknowledgement_seconds_count",): 3,
            ("gyrus_gateway_acknowledgement_seconds_sum",): pytest.approx(40.022),
            ("gyrus_gateway_acknowledgement_seconds_bucket", "+Inf"): 3,
            **{
                ("gyrus_gateway_acknowledgement_seconds_bucket", str(bound)): 1 if bound < 0.02 else 2
                for bound in BOUNDS
            },
            ("gyrus_activator_used", "requests"): 2,
            ("gyrus_activator_limit", "requests"): 10,
            ("gyrus_activator_refused_total", "requests"): 6,
            ("gyrus_replicas", "iris", "requested"): 1,
            ("gyrus_replicas", "iris", "ready"): 0,
            ("gyrus_replicas", "text", "requested"): 1,
            ("gyrus_replicas", "text", "ready"): 0,
            ("gyrus_in_flight", "iris"): 5,
            ("gyrus_in_flight", "text"): 0,
            ("gyrus_held", "iris"): 2,
            ("gyrus_held", "text"): 0,
            ("gyrus_autoscaler_desired", "iris"): 7,
            ("gyrus_autoscaler_desired", "text"): 0,
            ("gyrus_autoscaler_decisions_total", "iris", "up", "r"): 3,
            ("gyrus_autoscaler_decisions_total", "iris", "stay", ""): 8,
            ("gyrus_start_seconds", "iris", "warm"): 0.25,
            ("gyrus_events_dropped_total", "iris"): 4,
            ("gyrus_events_dropped_total", "text"): 0,
            ("gyrus_share_ratio", "iris", "1", "1"): 0.75,
            ("gyrus_share_ratio", "iris", "2", "2"): 0.25,
            ("gyrus_revision_in_flight", "iris", "1", "1"): 3,
            ("gyrus_revision_in_flight", "iris", "2", "2"): 2,
            ("gyrus_requests_total", "iris", "2xx", "1", "1"): 8,
            ("gyrus_requests_total", "iris", "5xx", "1", "1"): 1,
            ("gyrus_latency_seconds", "iris", "1", "0.5", "1"): 0.02,
            ("gyrus_latency_seconds", "iris", "1", "0.99", "1"): 0.04,
        }


class TestPackages:
    async def test_upload(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        content = archive()
        path = f"/packages/{digest_of(content)}"
        assert (await client.head(path)).status_code == 404
        for _ in range(2):
            assert (await client.put(path, content=content)).status_code == 201
        assert (await client.head(path)).status_code == 200
        package = await store.package(digest_of(content))
        assert package
        assert package.size == len(content)

    async def test_in_chunks(self, remote: httpx.AsyncClient) -> None:
        content = archive(bytes(50_000))

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 1000):
                yield content[start : start + 1000]

        response = await remote.put(f"/packages/{digest_of(content)}", content=chunks())
        assert response.status_code == 201

    async def test_other_bytes(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        digest = digest_of(b"other")
        problem(await client.put(f"/packages/{digest}", content=archive()), 422, "digest-mismatch")
        assert (await client.head(f"/packages/{digest}")).status_code == 404
        assert await store.package(digest) is None

    async def test_too_large(self, remote: httpx.AsyncClient) -> None:
        content = bytes(3_000_000)
        response = await remote.put(f"/packages/{digest_of(content)}", content=content)
        problem(response, 413, "package-too-large")
        assert (await remote.get("/info")).status_code == 200

    async def test_no_archive(self, client: httpx.AsyncClient) -> None:
        content = b"not a tar"
        problem(await client.put(f"/packages/{digest_of(content)}", content=content), 400, "bad-request")

    async def test_download(self, client: httpx.AsyncClient) -> None:
        content = archive()
        path = f"/packages/{digest_of(content)}"
        detail = problem(await client.get(path), 404, "not-found")
        assert detail == f"The package {digest_of(content)} does not exist; deploy the project again."
        await client.put(path, content=content)
        answer = await client.get(path)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == "application/x-tar"

    async def test_no_digest(self, client: httpx.AsyncClient) -> None:
        detail = problem(await client.put("/packages/short", content=b""), 400, "bad-request")
        assert "path.digest" in detail

    async def test_one_whose_file_is_lost_is_asked_for_again(
        self, client: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        content = archive()
        digest = digest_of(content)
        await client.put(f"/packages/{digest}", content=content)
        (tmp_path / "packages" / f"{digest}.tar").unlink()
        assert (await client.head(f"/packages/{digest}")).status_code == 404
        api = {"name": "iris", "handler": {"path": "handler.py"}}
        assert digest in problem(await deploy(client, api, package=digest), 409, "unknown-package")

    async def test_a_client_that_goes_away_leaves_nothing(
        self, remote: httpx.AsyncClient, tmp_path: Path, eventually: Any
    ) -> None:
        folder, sending = tmp_path / "packages", asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield bytes(1000)
            sending.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(remote.put(f"/packages/{'a' * 64}", content=chunks()))
        await sending.wait()
        await eventually(lambda: folder.is_dir() and list(folder.iterdir()))
        upload.cancel()
        await asyncio.wait([upload])
        await eventually(lambda: not list(folder.iterdir()))


class TestDeploy:
    async def test_a_handler_with_its_files(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        content = archive()
        await client.put(f"/packages/{digest_of(content)}", content=content)
        api = {"name": "iris", "handler": {"path": "handler.py"}, "networking": {"endpoint": "flowers"}}
        response = await deploy(client, api, package=digest_of(content))
        assert response.json() == [
            {
                "name": "iris",
                "revision": 1,
                "generation": 1,
                "changed": True,
                "endpoint": "http://127.0.0.1:8080/flowers",
            }
        ]
        revision = await store.revision("iris", 1)
        assert revision
        assert revision.package == digest_of(content)

    async def test_again(self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder) -> None:
        first = (await deploy(client, process())).json()
        again = (await deploy(client, process())).json()
        assert again == [first[0] | {"changed": False}]
        assert [event.reason for event in await recorded(events, store)] == ["Deployed"]

    async def test_a_change_of_one_of_two(self, client: httpx.AsyncClient) -> None:
        await deploy(client, process("a"), process("b"))
        reported = (await deploy(client, process("a"), process("b", env={"K": "v"}))).json()
        assert [(each["name"], each["changed"], each["revision"]) for each in reported] == [
            ("a", False, 1),
            ("b", True, 2),
        ]

    async def test_several_at_once(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        responses = await asyncio.gather(*(deploy(client, process()) for _ in range(5)))
        assert sorted(response.json()[0]["changed"] for response in responses) == [False] * 4 + [True]
        assert len(await store.revisions("iris")) == 1

    async def test_control_is_woken(self, client: httpx.AsyncClient, board: Board) -> None:
        with board.intent_signals.listen() as signals:
            await deploy(client, process("a"), process("b"))
            assert await signals.wait() == {"a", "b"}

    async def test_an_event_mentions_it(
        self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder
    ) -> None:
        await deploy(client, process())
        (event,) = await recorded(events, store)
        assert (event.reason, event.message, event.type) == (
            "Deployed",
            "Revision 1 deployed by token admin",
            "normal",
        )

    async def test_every_fault_is_named(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        response = await deploy(
            client, process("good"), {"name": "iris", "handler": {"pth": "x"}}, {"nam": 1}
        )
        detail = problem(response, 422, "invalid-spec")
        faults = response.json()["faults"]
        assert detail.splitlines() == faults
        assert 'apis: iris: handler.pth: unknown field; did you mean "path"?' in faults
        assert any(fault.startswith("apis: [2]: name: is missing") for fault in faults)
        assert await store.apis() == ()

    async def test_two_of_one_name(self, client: httpx.AsyncClient) -> None:
        detail = problem(await deploy(client, process(), process()), 422, "invalid-spec")
        assert "iris is the name of another API too" in detail

    async def test_a_handler_without_files(self, client: httpx.AsyncClient) -> None:
        response = await deploy(client, {"name": "iris", "handler": {"path": "handler.py"}})
        assert problem(response, 422, "invalid-spec") == (
            "apis: iris: its files are missing; upload their package, and send its digest"
        )

    async def test_none(self, client: httpx.AsyncClient) -> None:
        assert problem(await deploy(client), 422, "invalid-spec") == (
            "apis: the list is empty; name at least one API to deploy"
        )

    async def test_an_endpoint_that_another_has(self, client: httpx.AsyncClient) -> None:
        await deploy(client, process())
        response = await deploy(client, process("other", networking={"endpoint": "iris"}))
        assert "iris has it" in problem(response, 409, "conflict")

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"apis": 3}', b'{"apis": [1], "package": null}'])
    async def test_bodies_that_are_no_request(self, client: httpx.AsyncClient, body: bytes) -> None:
        response = await client.post(
            "/deployments", content=body, headers={"content-type": "application/json"}
        )
        assert problem(response, 400, "bad-request").startswith("body")


class TestApis:
    async def test_what_there_is(self, client: httpx.AsyncClient, board: Board) -> None:
        assert (await client.get("/apis")).json() == []
        await deploy(client, process("b"), process("a"))
        status = ReplicaStatus(id="a-1-x", api="a", revision=1, phase=Phase.READY)
        board.replicas["a"] = (Replica(status=status, generation=1),)
        listed = (await client.get("/apis")).json()
        assert [(api["name"], api["replicas"]["ready"]) for api in listed] == [("a", 1), ("b", 0)]
        one = (await client.get("/apis/a")).json()
        assert one == listed[0]
        assert one["status"] == "creating"
        assert one["endpoint"] == "http://127.0.0.1:8080/a"

    async def test_a_new_revision_shows_at_once(self, client: httpx.AsyncClient) -> None:
        await deploy(client, process())
        await client.get("/apis")
        await deploy(client, process(networking={"endpoint": "elsewhere"}))
        assert (await client.get("/apis")).json()[0]["endpoint"].endswith("/elsewhere")

    async def test_one_that_was_made_again_is_not_taken_for_the_old(
        self, client: httpx.AsyncClient, store: SqlStore
    ) -> None:
        await deploy(client, process())
        await client.get("/apis/iris")
        await client.delete("/apis/iris")
        await store.remove("iris")
        await deploy(client, process(networking={"endpoint": "elsewhere"}))
        assert (await client.get("/apis/iris")).json()["endpoint"].endswith("/elsewhere")

    async def test_description(self, client: httpx.AsyncClient, events: EventRecorder) -> None:
        await deploy(client, process())
        await events.flushed()
        reported = (await client.get("/apis/iris/description")).json()
        assert reported["api"]["name"] == "iris"
        assert reported["spec"]["process"]["command"] == ["serve"]
        assert reported["rollout"]["outcome"] == "progressing"
        assert reported["events"][0]["reason"] == "Deployed"
        assert reported["traffic"] == {"requests": 0, "by_code": {}, "p50": None, "p95": None, "p99": None}

    async def test_revisions(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        await deploy(client, process())
        await finish(store, Outcome.DONE)
        await deploy(client, process(env={"K": "v"}))
        newest, oldest = (await client.get("/apis/iris/revisions")).json()
        assert (newest["number"], newest["live"]) == (2, False)
        assert (oldest["number"], oldest["live"]) == (1, True)
        assert oldest["rollouts"][0]["outcome"] == "done"

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", ""),
            ("GET", "/description"),
            ("GET", "/revisions"),
            ("GET", "/logs"),
            ("POST", "/rollback"),
            ("POST", "/refresh"),
            ("DELETE", ""),
        ],
    )
    async def test_an_unknown_one(self, client: httpx.AsyncClient, method: str, path: str) -> None:
        detail = problem(await client.request(method, f"/apis/nobody{path}"), 404, "unknown-api")
        assert detail == "There is no API named nobody; `gyrus get` lists those that exist."


class TestActs:
    @pytest.fixture(autouse=True)
    async def two_revisions(self, client: httpx.AsyncClient, store: SqlStore) -> None:
        for number in (1, 2):
            await deploy(client, process(env={"NUMBER": str(number)}, networking={"endpoint": f"v{number}"}))
            await finish(store, Outcome.DONE)

    async def test_rollback(
        self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder, board: Board
    ) -> None:
        with board.intent_signals.listen() as signals:
            reported = (await client.post("/apis/iris/rollback", json={"to": None})).json()
            assert await signals.wait() == {"iris"}
        assert reported == {
            "name": "iris",
            "revision": 1,
            "generation": 3,
            "changed": True,
            "endpoint": "http://127.0.0.1:8080/v1",
        }
        assert (await recorded(events, store))[-1].message == "Rolled back to revision 1 by token admin"

    async def test_an_api_of_a_manifest_is_changed_there(
        self, client: httpx.AsyncClient, store: SqlStore
    ) -> None:
        text = RealtimeSpec.model_validate(process("text"))
        await store.deploy([text], None, datetime.now(UTC), Author(owner=ApiOwner.MANIFEST))
        refusal = (
            "A manifest deployed text. Change the manifest and apply it again, or delete its object "
            "(kubectl delete apis.gyrus.dev text), which deletes the API."
        )
        answers = (
            await client.post("/apis/text/rollback"),
            await client.delete("/apis/text"),
            await deploy(client, process("text")),
        )
        assert [problem(answer, 409, "conflict") for answer in answers] == [refusal] * 3
        assert (await client.get("/apis/text")).json()["owner"] == "manifest"
        assert (await client.post("/apis/text/refresh")).status_code == 200

    async def test_rollback_without_a_body(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/apis/iris/rollback")).json()["revision"] == 1

    async def test_rollback_to(self, client: httpx.AsyncClient) -> None:
        assert (await client.post("/apis/iris/rollback", json={"to": 1})).json()["revision"] == 1
        problem(await client.post("/apis/iris/rollback", json={"to": 9}), 404, "unknown-revision")
        problem(await client.post("/apis/iris/rollback", json={"to": 1}), 409, "conflict")
        problem(await client.post("/apis/iris/rollback", json={"to": "x"}), 400, "bad-request")

    async def test_refresh(
        self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder, board: Board
    ) -> None:
        with board.intent_signals.listen() as signals:
            reported = (await client.post("/apis/iris/refresh")).json()
            assert await signals.wait() == {"iris"}
        assert (reported["revision"], reported["generation"]) == (2, 3)
        assert (await recorded(events, store))[-1].reason == "Refreshed"

    async def test_delete(
        self, client: httpx.AsyncClient, store: SqlStore, events: EventRecorder, board: Board
    ) -> None:
        with board.intent_signals.listen() as signals:
            response = await client.delete("/apis/iris")
            assert await signals.wait() == {"iris"}
        assert (response.status_code, response.json()["status"]) == (202, "deleting")
        assert (await client.delete("/apis/iris")).status_code == 202
        assert [event.reason for event in await recorded(events, store)].count("Deleted") == 1
        problem(await client.post("/apis/iris/refresh"), 409, "conflict")
        problem(await deploy(client, process()), 409, "conflict")


class FragileStore(MemoryStore):
    """Its disk is full, or it has a fault."""

    fault: Exception | None = None

    def _stumble(self) -> None:
        if self.fault:
            raise self.fault

    async def deploy(
        self, specs: Sequence[ApiSpec], package: str | None, at: datetime, by: Author = UNNAMED
    ) -> tuple[Change, ...]:
        self._stumble()
        return await super().deploy(specs, package, at, by)

    async def record(self, *events: Event) -> tuple[Event, ...]:
        self._stumble()
        return await super().record(*events)


class Hurried(SystemClock):
    """Back-offs take no time."""

    async def sleep(self, seconds: float) -> None:
        await super().sleep(0)


class TestFailures:
    @pytest.fixture
    def fragile(self) -> FragileStore:
        return FragileStore()

    @pytest.fixture
    async def events(self, fragile: FragileStore, board: Board) -> AsyncIterator[EventRecorder]:
        async with recording(fragile, board, Hurried()) as events:
            yield events

    @pytest.fixture
    def app(self, context: ServerContext, fragile: FragileStore) -> FastAPI:
        return build_app(replace(context, store=fragile))

    async def test_a_full_disk(self, client: httpx.AsyncClient, fragile: FragileStore) -> None:
        fragile.fault = StorageFull("the disk is full")
        assert problem(await deploy(client, process()), 507, "storage-full") == "the disk is full"

    async def test_an_unforeseen_error_shows_no_details(
        self, client: httpx.AsyncClient, fragile: FragileStore
    ) -> None:
        fragile.fault = RuntimeError("with details")
        detail = problem(await deploy(client, process()), 500, "internal")
        assert detail == "POST /v1/deployments failed (RuntimeError); see the operator's log."

    async def test_an_act_stands_though_no_event_can_be_recorded(
        self,
        client: httpx.AsyncClient,
        fragile: FragileStore,
        events: EventRecorder,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await deploy(client, process())
        await events.flushed()
        fragile.fault = StorageFull("the disk is full")
        assert (await client.post("/apis/iris/refresh")).json()["generation"] == 2
        await events.flushed()
        assert "1 events are not stored yet: the disk is full" in caplog.text
        metrics = (await client.get("/metrics")).text
        assert 'gyrus_events_dropped_total{api="iris"} 1.0' in metrics


IMAGES = {
    "pod": {"pod": {"containers": [{"name": "api", "image": "localhost/words:1"}]}},
    "process.image": {"process": {"image": "localhost/words:1"}},
    "handler.image": {"handler": {"path": "handler.py", "image": "localhost/words:1"}},
}


@pytest.mark.parametrize(
    ("field", "otherwise"),
    [
        ("pod", "write a process or a handler"),
        ("process.image", "remove process.image"),
        ("handler.image", "remove handler.image"),
    ],
)
async def test_one_machine_refuses_images(client: httpx.AsyncClient, field: str, otherwise: str) -> None:
    answer = await deploy(client, {"name": "words", **IMAGES[field]}, package="d" * 64)
    assert answer.status_code == 422
    assert (
        f"apis: words: {field}: works on Kubernetes only, and this platform runs on one machine; deploy it "
        f"with -e to an environment of gyrus cluster install, or {otherwise}"
    ) in answer.text


async def test_a_cluster_takes_images(context: ServerContext) -> None:
    app = build_app(replace(context, containers=True))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {context.token}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://operator/v1", headers=headers
    ) as client:
        answer = await client.post(
            "/deployments", json={"apis": [{"name": "words", **IMAGES["pod"]}], "package": None}
        )
    assert answer.status_code == 200, answer.text
