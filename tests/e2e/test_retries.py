"""Requests that take down workers, and servers that hang up or answer as the platform would."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.load import Load
from support.looking import until
from support.platform import Platform, Reply
from support.project import Project, handler_api

RATE = 100

DEADLY = """
import ctypes, os, signal, time

WAYS = {
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crash": lambda: ctypes.string_at(0),
}

class Handler:
    def __init__(self, config):
        pass

    def predict(self, payload=None, query_params=None):
        time.sleep(0.02)
        way = (query_params or {}).get("way")
        if way:
            with open(query_params["deaths"], "a") as file:
                file.write("died\\n")
            WAYS[way]()
        return {"pid": os.getpid()}
"""

SERVER = """
import http.server, os

class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        with open(os.environ["RUNS"], "a") as file:
            file.write(self.command + " " + self.path + "\\n")
        if "hang-up" in self.path:
            self.close_connection = True
            return
        self.send_response(503 if "requeue" in self.path else 200)
        if "requeue" in self.path:
            for name in ("x-gyrus-requeue", "X-Gyrus-Requeue", "X-GYRUS-REQUEUE"):
                self.send_header(name, "1")
        self.send_header("content-length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""


def ready(platform: Platform, name: str) -> int:
    return platform.json("get", name)["replicas"]["ready"]


@pytest.mark.parametrize("way", ["exit", "kill", "crash"])
async def test_poisoned_request_takes_down_two_workers_and_no_other_request_fails(
    platform: Platform, tmp_path: Path, way: str
) -> None:
    api = handler_api(
        "deadly", idempotent=True, max_concurrency=8, autoscaling={"min_replicas": 4, "max_replicas": 4}
    )
    platform.gyrus("deploy", Project(tmp_path / "project").write(api, handler=DEADLY), "--yes")

    async def poison(name: str, body: dict[str, str] | None) -> tuple[Reply, int]:
        """The answer to a poisoned request, and how many workers it took down."""
        deaths = tmp_path / name
        path = f"deadly?way={way}&deaths={deaths}"
        reply = await asyncio.to_thread(platform.ask, path, body, **{"x-request-id": name})
        return reply, len(deaths.read_text().splitlines())

    async with Load(platform.url("deadly"), RATE, body=b"{}") as load:
        await asyncio.sleep(1)
        bodies: dict[str, dict[str, str] | None] = {"poisoned-post": {}, "poisoned-get": None}
        for name, body in bodies.items():
            reply, deaths = await poison(name, body)
            assert deaths == 2
            assert (reply.status, reply.json["type"]) == (502, "urn:gyrus:problem:poison")
            assert name in reply.json["detail"]
            await until(lambda: ready(platform, "deadly") == 4)
    assert load.result.failed == (), load.result
    assert len(load.result.answers) > RATE
    events = platform.gyrus("events", "deadly")
    assert "Request poisoned-post took down 2 workers" in events
    assert "Request poisoned-get took down 2 workers" in events


async def test_server_that_hangs_up_or_claims_to_requeue_runs_no_request_often(
    platform: Platform, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    process = {"command": ["python3", "server.py"]}
    direct = {"name": "direct", "kind": "RealtimeAPI", "process": process, "env": {"RUNS": str(runs)}}
    apis = [
        direct,
        direct | {"name": "proxied", "max_concurrency": 2, "idempotent": True},
    ]
    project = Project(tmp_path / "project").write(*apis)
    (project / "server.py").write_text(SERVER)
    platform.gyrus("deploy", project, "--yes")
    for name in ("direct", "proxied"):
        for body in (None, b"{}"):
            requeued = platform.send(f"{name}/requeue-{name}", body)
            assert requeued.status == 503
            assert not [header for header in requeued.headers if header.startswith("x-gyrus")]
            assert platform.send(f"{name}/hang-up-{name}", body).status == 502
    seen = [line for line in runs.read_text().splitlines() if "openapi" not in line]
    assert {line: seen.count(line) for line in seen} == {
        "GET /requeue-direct": 1,
        "POST /requeue-direct": 1,
        "GET /hang-up-direct": 3,
        "POST /hang-up-direct": 1,
        "GET /requeue-proxied": 1,
        "POST /requeue-proxied": 1,
        "GET /hang-up-proxied": 1,
        "POST /hang-up-proxied": 1,
    }
