"""The client against a real operator."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Generator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import gyrus
from gyrus.aio import unix_sockets
from gyrus.backends.memory import Step, fails
from gyrus.backends.protocol import ReplicaOrder
from gyrus.client.client import Client
from gyrus.client.environments import Environment
from gyrus.client.errors import (
    Conflict,
    EndpointUnreachable,
    Invalid,
    NotFound,
    OperatorUnreachable,
    PredictionFailed,
    RolloutFailed,
    RolloutSuperseded,
    StillWaiting,
    Unauthorized,
    UnexpectedAnswer,
    UnknownApi,
)
from gyrus.client.streams import Gone
from gyrus.contract.operator import Deployed, Status
from gyrus.contract.replica import Reason
from gyrus.spec.faults import SpecError
from support.operator_thread import PACKAGE_LIMIT, TOKEN, Operator
from support.project import Project, handler_api
from support.servers import hanging_up
from support.tls import tls_server

PACKAGE = bytes(1024)
"""The archive of an empty folder."""
HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"
PATIENCE = 60
"""Seconds to wait for a rollout. On a machine without load it takes a tenth of one."""
DIGEST = hashlib.sha256(PACKAGE).hexdigest()


def spec(name: str = "iris", **changes: Any) -> dict[str, Any]:
    return {"name": name, "kind": "RealtimeAPI", "handler": {"path": "handler.py"}, **changes}


def project(parent: Path) -> Path:
    return Project(parent / "project").write(handler_api("iris"), handler=HANDLER)


def never_ready(order: ReplicaOrder) -> tuple[Step, ...]:
    return ()


def deploy(client: Client, *specs: dict[str, Any]) -> list[Deployed]:
    if not client.has_package(DIGEST):
        client.upload(DIGEST, PACKAGE, len(PACKAGE))
    return client.deploy(specs or [spec()], package=DIGEST)


def live(client: Client, **changes: Any) -> Deployed:
    [deployed] = deploy(client, spec(**changes))
    client.wait(deployed.name, deployed.generation, PATIENCE)
    return deployed


def test_the_public_name_is_this_client() -> None:
    assert gyrus.Client is Client


def test_the_environment_in_use_is_the_local_platform(operator: Operator) -> None:
    with Client() as client:
        assert client.info().home == str(operator.home.root)


def test_a_deploy_comes_live_and_answers(client: Client) -> None:
    [deployed] = deploy(client)
    assert (deployed.revision, deployed.changed) == (1, True)
    description = client.wait("iris", deployed.generation, PATIENCE)
    assert description.api.status is Status.LIVE
    assert [api.name for api in client.apis()] == ["iris"]
    assert client.predict("iris", {"a": [1, None, "é"]}) == {"a": [1, None, "é"]}


def test_the_same_deploy_again_changes_nothing(client: Client) -> None:
    first = live(client)
    [again] = deploy(client)
    assert (again.changed, again.generation) == (False, first.generation)
    assert client.wait("iris", again.generation, 5).api.revision == 1


def test_a_project_is_uploaded_once(client: Client, tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "weights").write_bytes(bytes(3 * 1024 * 1024))
    reported: list[tuple[int, int]] = []
    [deployed] = client.deploy(folder, on_upload=lambda sent, total: reported.append((sent, total)))
    assert deployed.changed
    assert [sent for sent, _ in reported] == [1 << 20, 2 << 20, 3 << 20, reported[-1][1]]
    [again] = client.deploy(
        folder / "gyrus.yaml", on_upload=lambda sent, total: pytest.fail("it was uploaded again")
    )
    assert not again.changed


def test_too_large_a_project_is_refused_in_the_middle_of_its_upload(client: Client, tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "weights").write_bytes(bytes(PACKAGE_LIMIT))
    with pytest.raises(Invalid) as reported:
        client.deploy(folder)
    assert reported.value.problem.status == 413


def test_a_faulty_project_is_never_sent(client: Client, tmp_path: Path) -> None:
    folder = project(tmp_path)
    (folder / "handler.py").unlink()
    with pytest.raises(SpecError, match=r"there is no file handler\.py"):
        client.deploy(folder)


def test_a_failed_rollout_shows_why_and_what_serves(operator: Operator, client: Client) -> None:
    live(client)
    operator.backend.script = fails(Reason.IMPORT, "No module named 'torhc'", "Traceback …", "boom")
    [deployed] = deploy(client, spec(env={"A": "b"}))
    with pytest.raises(RolloutFailed) as reported:
        client.wait("iris", deployed.generation, PATIENCE)
    assert reported.value.reason == "Revision 2 did not become ready (ImportError): No module named 'torhc'."
    assert reported.value.last_lines == ("Traceback …", "boom")
    assert reported.value.serving == 1


def test_of_a_first_rollout_that_fails_nothing_serves(operator: Operator, client: Client) -> None:
    operator.backend.script = fails(Reason.INIT, "no such file")
    [deployed] = deploy(client)
    with pytest.raises(RolloutFailed) as reported:
        client.wait("iris", deployed.generation, PATIENCE)
    assert reported.value.serving is None


def test_a_wait_for_a_rollout_that_another_replaced_ends(operator: Operator, client: Client) -> None:
    operator.backend.script = never_ready
    [first] = deploy(client)
    with pytest.raises(StillWaiting, match="iris"):
        client.wait("iris", first.generation, 0.2)
    deploy(client, spec(env={"A": "b"}))
    with pytest.raises(RolloutSuperseded):
        client.wait("iris", first.generation, PATIENCE)


def test_a_wait_for_an_old_rollout_finds_its_end_in_the_history(client: Client) -> None:
    first = live(client)
    live(client, env={"A": "b"})
    assert client.wait("iris", first.generation, 5).api.revision == 2


def test_a_wait_for_an_api_that_is_deleted_ends(operator: Operator, client: Client) -> None:
    operator.backend.script = never_ready
    [deployed] = deploy(client)
    client.delete("iris")
    with pytest.raises(RolloutSuperseded, match="deleted"):
        client.wait("iris", deployed.generation, PATIENCE)


def test_several_rollouts_are_followed_at_once(client: Client) -> None:
    begun = deploy(client, spec("a"), spec("b"))
    ended = [seen for seen in client.progress({d.name: d.generation for d in begun}, PATIENCE) if seen.ended]
    assert sorted(seen.name for seen in ended) == ["a", "b"]
    assert all(seen.result().api.status is Status.LIVE for seen in ended)


def test_rollback_refresh_and_history(client: Client) -> None:
    live(client)
    live(client, env={"A": "b"})
    back = client.rollback("iris")
    assert client.wait("iris", back.generation, PATIENCE).api.revision == 1
    fresh = client.refresh("iris")
    assert client.wait("iris", fresh.generation, PATIENCE).api.revision == 1
    assert [(revision.number, revision.live) for revision in client.history("iris")] == [
        (2, False),
        (1, True),
    ]


def test_a_watch_reports_each_change_and_the_end(operator: Operator, client: Client) -> None:
    live(client)
    seen: list[object] = []
    for state in client.watch("iris", timeout=PATIENCE):
        if not seen:
            client.delete("iris")
        seen.append(state)
        if isinstance(state, Gone):
            break
    assert seen[-1] == Gone("iris")


def test_a_watch_ends_when_its_time_is_up(client: Client) -> None:
    assert [[api.name for api in apis] for apis in client.watch_all(timeout=0.2)] == [[]]


def test_logs_come_in_the_order_of_time(operator: Operator, client: Client) -> None:
    live(client)
    [replica] = operator.replica_ids("iris")
    operator.write(replica, "second", 20.0)
    operator.write(replica, "first", 10.0)
    assert [line.message for line in client.logs("iris")] == ["first", "second"]
    assert [line.message for line in client.logs("iris", since=15.0)] == ["second"]
    assert [line.message for line in client.logs("iris", tail=1)] == ["second"]


def test_logs_that_are_followed_go_on(operator: Operator, client: Client) -> None:
    live(client)
    [replica] = operator.replica_ids("iris")
    operator.write(replica, "before")
    lines = client.logs("iris", follow=True)
    assert next(lines).message == "before"
    operator.write(replica, "after")
    assert next(lines).message == "after"


def test_logs_that_are_followed_end_with_the_reason_when_the_token_is_revoked(
    operator: Operator, client: Client
) -> None:
    live(client)
    [replica] = operator.replica_ids("iris")
    operator.write(replica, "before")
    token = client.create_token("ci", read_only=True).token
    far = Environment("far", operator.url, token, certificate=operator.certificate)
    with Client(far) as follower:
        lines = follower.logs("iris", follow=True)
        assert next(lines).message == "before"
        client.revoke_token("ci")
        with pytest.raises(Unauthorized, match=r"^The token ci was revoked on "):
            next(lines)


def test_unknown_names(client: Client) -> None:
    with pytest.raises(UnknownApi) as reported:
        client.describe("irsi")
    assert reported.value.name == "irsi"
    live(client)
    with pytest.raises(NotFound, match="revision 7"):
        client.rollback("iris", 7)


def test_what_the_state_does_not_allow(client: Client) -> None:
    live(client)
    with pytest.raises(Conflict):
        client.rollback("iris", 1)


def test_a_specification_that_the_operator_refuses(client: Client) -> None:
    with pytest.raises(Invalid, match="iris"):
        deploy(client, spec(max_concurrency=0))


def test_a_wrong_token_is_named(operator: Operator) -> None:
    source = "the token in /home/x/.gyrus/token"
    environment = Environment("far", operator.url, "wrong", source, certificate=operator.certificate)
    with Client(environment) as client, pytest.raises(Unauthorized) as reported:
        client.apis()
    assert "does not accept the token in /home/x/.gyrus/token" in str(reported.value)


def test_a_missing_server_is_reported_at_once() -> None:
    with closed_port() as port, Client.at(f"https://127.0.0.1:{port}", TOKEN) as client:
        with pytest.raises(OperatorUnreachable, match=f"No operator answers at https://127.0.0.1:{port}"):
            client.apis()
        with pytest.raises(OperatorUnreachable):
            next(client.watch_all())


def test_another_server_there_is_reported(operator: Operator) -> None:
    with (
        tls_server(operator.home, SimpleHTTPRequestHandler) as url,
        Client.at(url, TOKEN, certificate=operator.certificate) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client.apis()


def test_a_connection_that_breaks_is_tried_again_where_that_is_safe(tmp_path: Path) -> None:
    path = tmp_path / "operator.sock"
    with hanging_up(unix_sockets.bind(path)) as connections, Client.at(f"unix://{path}") as client:
        with pytest.raises(OperatorUnreachable):
            client.apis()
        assert len(connections) == 3
        with pytest.raises(OperatorUnreachable):
            client.refresh("iris")
        assert len(connections) == 4


def test_predictions(client: Client) -> None:
    live(client)
    assert client.predict("iris", b"\x00\xff") == b"\x00\xff"
    assert client.predict("iris", "text") == "text"
    stream = client.call("iris", b"", "text/event-stream")
    assert list(stream.chunks()) == [b"data: 1\n\n", b"data: 2\n\n"]


def test_a_prediction_that_fails_has_the_problem(client: Client) -> None:
    live(client)
    with pytest.raises(PredictionFailed) as reported:
        client.call("iris", b"", "text/x-problem")
    assert reported.value.status == 422
    assert reported.value.problem is not None
    assert reported.value.problem.detail == "area: is missing"


def test_an_endpoint_that_does_not_answer(operator: Operator, client: Client) -> None:
    live(client)
    with closed_port() as port:
        client._urls["iris"] = f"http://127.0.0.1:{port}/iris"  # pyright: ignore[reportPrivateUsage] (a gateway that died)
        with pytest.raises(EndpointUnreachable, match=str(port)):
            client.predict("iris", 1)


@contextmanager
def closed_port() -> Generator[int]:
    """A port without a listener, which no other process can take."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
