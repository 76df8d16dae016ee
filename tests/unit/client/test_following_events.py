"""Events are followed by their ids; an operator that is older than ids is followed too."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from itertools import islice
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest

from gyrus.client.client import Client
from gyrus.contract.operator import EventView
from gyrus.state.records import Event
from support.operator_thread import TOKEN, Operator
from support.tls import tls_server

NEWER_FIELDS = ("id", "count", "first_time")


def deploy(client: Client) -> None:
    [deployed] = client.deploy([{"name": "iris", "process": {"command": ["serve"]}}])
    client.wait("iris", deployed.generation, 20)


def reasons(events: Iterator[EventView], count: int) -> list[str]:
    return [event.reason for event in islice(events, count)]


def test_only_what_is_new_is_asked_for(operator: Operator, client: Client) -> None:
    deploy(client)
    past = client.events("iris")
    assert [event.reason for event in past] == ["Deployed", "ReplicaStarted", "ReplicaReady", "RolloutDone"]
    assert client.events("iris", after=past[1].id) == past[2:]
    assert client.events("iris", after=past[-1].id) == []
    client.refresh("iris")
    assert client.events("iris", after=past[-1].id)[0].reason == "Refreshed"


@pytest.mark.parametrize("limit", [0, 1, 100])
def test_the_past_is_reported_once(operator: Operator, client: Client, limit: int) -> None:
    deploy(client)
    past = client.events("iris", limit=limit)
    events = client.follow_events("iris", limit=limit)
    assert list(islice(events, len(past))) == past
    client.refresh("iris")
    assert next(events).reason == "Refreshed"


def test_an_event_that_happens_again_is_reported_again(operator: Operator, client: Client) -> None:
    deploy(client)
    events = client.follow_events("iris", limit=0)
    for count in (1, 2, 3):
        event = Event(
            api="iris", time=datetime.now(UTC), type="warning", reason="ReplicaUnready", message="It is slow."
        )
        operator.call(lambda event=event: operator.record(event))
        client.refresh("iris")
        unready = next(event for event in events if event.reason == "ReplicaUnready")
        assert unready.count == count
        assert (unready.first_time is None) == (count == 1)
    [kept] = [event for event in client.events("iris") if event.reason == "ReplicaUnready"]
    assert kept.count == 3


def test_what_users_do_again_is_an_event_of_its_own(operator: Operator, client: Client) -> None:
    deploy(client)
    events = client.follow_events("iris", limit=0)
    for _ in range(2):
        client.refresh("iris")
        assert next(event for event in events if event.reason == "Refreshed").count == 1


def test_an_operator_without_ids(operator: Operator) -> None:
    with older(operator) as url, Client.at(url, TOKEN, certificate=operator.certificate) as client:
        deploy(client)
        past = client.events("iris")
        assert {event.id for event in past} == {0}
        events = client.follow_events("iris")
        assert reasons(events, 4) == ["Deployed", "ReplicaStarted", "ReplicaReady", "RolloutDone"]
        client.refresh("iris")
        assert reasons(events, 2) == ["Refreshed", "ReplicaStarted"]
        client.delete("iris")
        assert "Deployed" not in {event.reason for event in events}


@contextmanager
def older(operator: Operator) -> Generator[str]:
    """The URL of this operator as it was before events had ids."""

    trusting = ssl.create_default_context(cafile=str(operator.certificate))

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.forward(None)

        def do_POST(self) -> None:
            self.forward(self.rfile.read(int(self.headers.get("content-length", 0))))

        do_DELETE = do_GET  # noqa: N815 -- named by the standard library

        def forward(self, body: bytes | None) -> None:
            address = urlsplit(self.path)
            query = urlencode([(name, value) for name, value in parse_qsl(address.query) if name != "after"])
            headers = {
                name: value
                for name, value in self.headers.items()
                if name in ("authorization", "content-type")
            }
            request = Request(
                f"{operator.url}{address.path}?{query}", data=body, method=self.command, headers=headers
            )
            with answer_to(request, trusting) as answer:
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers["content-type"])
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                if address.path.endswith("/events") and answer.status == 200:
                    self.send_chunk(without_ids(answer.read()))
                else:
                    while chunk := answer.read1():
                        self.send_chunk(chunk)
                self.send_chunk(b"")

        def send_chunk(self, chunk: bytes) -> None:
            with suppress(OSError):  # the client has heard enough
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with tls_server(operator.home, Proxy) as url:
        yield url


def answer_to(request: Request, trusting: ssl.SSLContext) -> Any:
    try:
        return urlopen(request, context=trusting)
    except HTTPError as refusal:
        return refusal


def without_ids(answer: bytes) -> bytes:
    events = json.loads(answer)
    return json.dumps(
        [{name: value for name, value in event.items() if name not in NEWER_FIELDS} for event in events]
    ).encode()
