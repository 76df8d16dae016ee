"""Replicas of several processes, and servers that are not ours, under the same promises."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.load import Load
from support.looking import until
from support.platform import Platform
from support.project import ECHO_REVISION, Project, handler_api

RATE = 150

SERVER = """
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(float(os.environ["SECONDS"]))
        body = json.dumps({"version": 0}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments): ...

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""


def server_api(**changes: Any) -> dict[str, Any]:
    process = {"command": ["python", "server.py"]}
    return {"name": "echo", "process": process, "env": {"SECONDS": "0.02"}} | changes


def server_project(folder: Path, **changes: Any) -> Path:
    Project(folder).write(server_api(**changes))
    (folder / "server.py").write_text(SERVER)
    return folder


@pytest.mark.parametrize("slots", [None, 16], ids=["straight", "behind the queue proxy"])
async def test_servers_that_are_not_ours_are_refreshed_without_a_failed_request(
    platform: Platform, tmp_path: Path, slots: int | None
) -> None:
    platform.gyrus("deploy", server_project(tmp_path / "echo", max_concurrency=slots), "--yes")
    async with Load(platform.url("echo"), RATE) as load:
        await asyncio.sleep(1)
        for _ in range(2):
            await asyncio.to_thread(platform.gyrus, "refresh", "echo")
        await asyncio.sleep(1)
    assert load.result.failed == (), load.result
    assert {json.loads(body)["version"] for body in load.result.bodies} == {0}


async def test_two_processes_of_one_replica(platform: Platform, tmp_path: Path) -> None:
    api = handler_api("echo", config={"version": 0}, idempotent=True)
    api["handler"]["processes"] = 2
    platform.gyrus("deploy", Project(tmp_path / "echo").write(api, handler=ECHO_REVISION), "--yes")
    [replica] = platform.json("describe", "echo")["replicas"]
    assert len(replica["status"]["endpoints"]) == 2
    async with Load(platform.url("echo"), RATE) as load:
        await asyncio.sleep(0.5)
        workers = [p for p in platform.processes() if "gyrus.runtime.worker" in p.cmdline()]
        workers[0].kill()
        await until(lambda: "Killed" in platform.gyrus("describe", "echo"))
        await until(lambda: _endpoints(platform) == 2)
        await asyncio.to_thread(platform.gyrus, "refresh", "echo")
    assert load.result.failed == (), load.result


def _endpoints(platform: Platform) -> int:
    replicas = platform.json("describe", "echo")["replicas"]
    return sum(len(replica["status"]["endpoints"]) for replica in replicas)


def test_down_lets_a_request_under_way_end(platform: Platform, tmp_path: Path) -> None:
    platform.gyrus("deploy", server_project(tmp_path / "echo", env={"SECONDS": "2"}), "--yes")
    with ThreadPoolExecutor() as pool:
        reply = pool.submit(platform.ask, "echo", {})
        while platform.json("get", "echo")["in_flight"] == 0:
            assert not reply.done()
        platform.gyrus("down")
        assert reply.result().json == {"version": 0}
    platform.up()
