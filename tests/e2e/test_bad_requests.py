"""Requests that cannot be answered: each gets its exact problem document, and the next one is served."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest

from gyrus.contract import problem
from gyrus.contract.problem import ProblemType
from support.messages import is_problem
from support.platform import Platform
from support.project import Project, handler_api

HANDLER = """
import os, sys, time
from dataclasses import dataclass

class Handler:
    def predict(self, payload):
        match payload["do"]:
            case "raise":
                raise ValueError("a secret of the model")
            case "unserialisable":
                return object()
            case "leave":
                sys.exit(4)
            case "end":
                os._exit(5)
            case "sleep":
                time.sleep(payload["seconds"])
            case "fill":
                self.held = b"x" * 2**30
        return "done"
"""
TYPED = """
from dataclasses import dataclass

@dataclass
class Flat:
    rooms: int

class Handler:
    def predict(self, payload: Flat):
        return payload.rooms
"""
JSON = {"content-type": "application/json"}
MIB = 1024 * 1024
RESTART_SECONDS = 20


@pytest.fixture(scope="module")
def served(shared_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """``model`` has one slot and two places to wait, ``hasty`` a second; ``flats`` takes a dataclass."""
    folder = tmp_path_factory.mktemp("models")
    model = handler_api("model", max_queue_length=2, compute={"mem": "128Mi"})
    hasty = handler_api("hasty", timeout="1s")
    flats = handler_api("flats") | {"handler": {"path": "typed.py"}}
    Project(folder).write(model, hasty, flats, handler=HANDLER)
    (folder / "typed.py").write_text(TYPED)
    shared_platform.gyrus("deploy", folder, "--yes")
    return shared_platform


@pytest.fixture(autouse=True)
def nothing_is_lost(served: Platform) -> Iterator[None]:
    yield
    assert served.ask("flats", {"rooms": 3}).json == 3
    assert _served_again(served)


def _served_again(platform: Platform) -> bool:
    """Also where its process has to be started again."""
    deadline = time.monotonic() + RESTART_SECONDS
    while time.monotonic() < deadline:
        if platform.ask("model", {"do": "answer"}).status == 200:
            return True
        time.sleep(0.1)
    return False


# What the handler does


def test_a_predict_that_raises(served: Platform) -> None:
    reply = served.ask("model", {"do": "raise"}, **{"x-request-id": "the-one"})
    detail = "predict() raised ValueError; the log has its traceback under this request's id, the-one."
    assert is_problem(reply, problem.HANDLER_FAILED, detail)
    assert b"secret" not in reply.body
    logged = map(json.loads, served.gyrus("-o", "json", "logs", "model").splitlines())
    [line] = [line for line in logged if line.get("request_id") == "the-one"]
    assert line["message"] == (
        "predict failed\n"
        "Traceback (most recent call last):\n"
        '  File "handler.py", line 9, in predict\n'
        '    raise ValueError("a secret of the model")\n'
        "ValueError: a secret of the model"
    )


def test_the_command_line_shows_where_the_traceback_is(served: Platform) -> None:
    reported = served.failure("predict", "model", '{"do": "raise"}')
    assert re.sub(r"id, \S+\.", "id, ID.", reported) == (
        f"error: {served.url('model')} answered 500: predict() raised ValueError; "
        "the log has its traceback under this request's id, ID.\n"
        "  See: gyrus logs model\n"
    )


def test_a_predict_that_exits_ends_only_its_request(served: Platform) -> None:
    before = served.json("describe", "model")["replicas"][0]["status"]["restarts"]
    reply = served.ask("model", {"do": "leave"})
    named = f"under this request's id, {reply.headers['x-request-id']}."
    detail = f"predict() raised SystemExit; the log has its traceback {named}"
    assert is_problem(reply, problem.HANDLER_FAILED, detail)
    assert served.json("describe", "model")["replicas"][0]["status"]["restarts"] == before


def test_an_unserialisable_answer(served: Platform) -> None:
    detail = (
        "The answer of predict() cannot be sent: the value at $ is of type object, which JSON does not have; "
        "use numbers, text, lists, dicts."
    )
    assert is_problem(served.ask("model", {"do": "unserialisable"}), problem.BAD_ANSWER, detail)


@pytest.mark.parametrize(
    ("what", "event", "reported"),
    [
        ("end", "Exited", r"it exited with code 5"),
        ("fill", "OutOfMemory", r"it used \d+ MiB, but compute\.mem allows 128 MiB; raise compute\.mem"),
    ],
)
def test_a_predict_that_kills_its_process(served: Platform, what: str, event: str, reported: str) -> None:
    detail = (
        "A replica of API model ended the request without an answer. "
        "`gyrus describe model` or `gyrus logs model` shows why."
    )
    assert is_problem(served.ask("model", {"do": what}), problem.UPSTREAM_FAILED, detail)
    assert _served_again(served)
    events = [e["message"] for e in served.json("describe", "model")["events"] if e["reason"] == event]
    assert re.fullmatch(rf"Replica \S+: {reported}", events[-1]), events


# What it has no time or place for


def test_a_request_that_takes_too_long(served: Platform) -> None:
    detail = "The request was not answered within 1 s. predict() was still running."
    assert is_problem(served.ask("hasty", {"do": "sleep", "seconds": 1.5}), problem.TIMEOUT, detail)


def test_a_queue_that_is_full(served: Platform) -> None:
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(served.ask, "model", {"do": "sleep", "seconds": 0.4}) for _ in range(6)]
        replies = [reply.result() for reply in asked]
    refused = [reply for reply in replies if reply.status != 200]
    assert len(refused) == 3, "one slot, two places"
    detail = (
        "All slots are busy (1) and the queue is full (2 waiting); "
        "try again, or raise max_replicas or max_queue_length."
    )
    for reply in refused:
        assert is_problem(reply, problem.QUEUE_FULL, detail)
        assert reply.headers["retry-after"] == "1"


# What is sent


@pytest.mark.parametrize(
    ("body", "media_type", "kind", "detail"),
    [
        pytest.param(
            b"rooms\n3\n",
            "text/csv",
            problem.UNSUPPORTED_MEDIA,
            "The body is of type text/csv; send JSON, with Content-Type: application/json.",
            id="another type",
        ),
        pytest.param(
            b'{"rooms": "many"}',
            "application/json",
            problem.INVALID_PAYLOAD,
            "The payload does not fit: $.rooms: Expected `int`, got `str`.",
            id="another shape",
        ),
    ],
)
def test_a_body_that_does_not_fit(
    served: Platform, body: bytes, media_type: str, kind: ProblemType, detail: str
) -> None:
    more: dict[str, Any] = {}
    if kind is problem.INVALID_PAYLOAD:
        more["errors"] = [{"path": "$.rooms", "message": "Expected `int`, got `str`"}]
    reply = served.send("flats", body, **{"content-type": media_type})
    assert is_problem(reply, kind, detail, **more)


def test_a_body_that_is_not_json(served: Platform) -> None:
    body = b'{"do": "answer",,}'
    with pytest.raises(orjson.JSONDecodeError) as fault:
        orjson.loads(body)
    reply = served.send("model", body, **JSON)
    assert is_problem(reply, problem.BAD_REQUEST, f"The body is not JSON: {fault.value}.")


TOO_LARGE = "The request's body is larger than the limit."


def test_a_body_that_is_too_large(served: Platform) -> None:
    """It is refused by its header, before any of it is sent."""
    with socket.create_connection(("127.0.0.1", served.gateway_port), timeout=30) as client:
        fields = f"host: localhost\r\nx-request-id: large\r\ncontent-length: {33 * MIB}"
        head = f"POST /model HTTP/1.1\r\n{fields}\r\n\r\n"
        client.sendall(head.encode())
        answer = client.makefile("rb").read()
    header, _, body = answer.partition(b"\r\n\r\n")
    assert header.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nx-request-id: large\r\n" in header
    kind = problem.BODY_TOO_LARGE
    assert json.loads(body) == {
        "type": kind.type,
        "title": kind.title,
        "status": 413,
        "detail": TOO_LARGE,
        "instance": "urn:gyrus:request:large",
    }


def test_a_file_that_is_too_large(served: Platform, tmp_path: Path) -> None:
    file = tmp_path / "large.json"
    file.write_bytes(b'"' + b"x" * (33 * MIB) + b'"')
    reported = served.failure("predict", "model", f"@{file}")
    assert reported == f"error: {served.url('model')} answered 413: {TOO_LARGE}\n"


def test_a_method_that_is_not_answered(served: Platform) -> None:
    reply = served.send("flats", None)
    assert is_problem(reply, problem.METHOD_NOT_ALLOWED, "GET is not allowed here; use POST.")
    assert reply.headers["allow"] == "POST"


def test_a_path_that_is_not_for_outsiders(served: Platform) -> None:
    reply = served.send("flats/healthz", None)
    detail = "/flats/healthz is internal to the replica and is not served to clients."
    assert is_problem(reply, problem.NOT_FOUND, detail)


def test_a_payload_that_is_not_json_is_not_even_sent(served: Platform) -> None:
    assert served.failure("predict", "flats", "{rooms}", code=2) == (
        "error: The payload is not JSON: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1).\n"
        "  Quote it for the shell: gyrus predict NAME '{\"key\": 1}', or give a file: @payload.json\n"
    )


# Names


def test_an_unknown_endpoint(served: Platform) -> None:
    detail = "There is no API at /flat. `gyrus get` lists the endpoints of the deployed APIs."
    assert is_problem(served.ask("flat", {}), problem.UNKNOWN_API, detail)


@pytest.mark.parametrize(
    "command",
    [
        ("get", "flat"),
        ("describe", "flat"),
        ("predict", "flat", "{}"),
        ("logs", "flat"),
        ("rollback", "flat"),
        ("refresh", "flat"),
        ("history", "flat"),
        ("delete", "flat", "--yes"),
    ],
    ids=lambda command: command[0],
)
def test_an_unknown_name(served: Platform, command: tuple[str, ...]) -> None:
    reported = "error: There is no API named flat; `gyrus get` lists those that exist. Did you mean flats?\n"
    assert served.failure(*command) == reported


def test_a_name_that_is_like_no_other(served: Platform) -> None:
    reported = "error: There is no API named zebra; `gyrus get` lists those that exist.\n"
    assert served.failure("get", "zebra") == reported


def test_an_unknown_revision(served: Platform) -> None:
    reported = "error: flats has no revision 9; `gyrus history flats` lists its revisions.\n"
    assert served.failure("rollback", "flats", "--to", "9") == reported


def test_nothing_to_roll_back_to(served: Platform) -> None:
    reported = "error: flats has nothing to roll back to: no revision but 1 has ever been live.\n"
    assert served.failure("rollback", "flats") == reported


def test_an_unknown_command(served: Platform) -> None:
    assert served.failure("dploy", code=2) == (
        "error: There is no command 'dploy'. Did you mean deploy?\n  See: gyrus --help\n"
    )


def test_an_unknown_environment(served: Platform) -> None:
    assert served.failure("-e", "prod", "get", code=2) == (
        "error: There is no environment named 'prod'.\n  Known are: local. Add one with: gyrus env add\n"
    )
