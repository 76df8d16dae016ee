"""The APIs under test: one that goes to zero, a narrow one, one that streams, one that is not ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.project import Project, handler_api

TIMEOUT = 30.0
"""Seconds, of all of them."""

SLEEPER = """
import time

class Handler:
    def predict(self, payload):
        time.sleep(payload["seconds"])
        return {"number": payload["number"], "length": len(payload["padding"])}
"""

STREAMER = """
import asyncio

class Handler:
    async def predict(self, payload):
        for piece in range(payload["pieces"]):
            await asyncio.sleep(payload["seconds"] / payload["pieces"])
            yield {"number": payload["number"], "piece": piece}
"""

SERVER = """
import json, os, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        payload = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(payload["seconds"])
        body = json.dumps({"number": payload["number"], "length": len(payload["padding"])}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments): ...

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One API, and how it is visited."""

    name: str
    slots: int
    """Of one replica."""
    queue: int
    """Of one replica."""
    rate: float
    """Requests a second when it is visited steadily."""
    burst: int
    """The most requests at once."""
    silence: float
    """The longest time without any, in seconds."""
    seconds: float
    """The longest work of one request."""
    least: int = 1
    """Replicas that it always has."""
    most: int = 2
    idempotent: bool = False
    streams: bool = False
    foreign: bool = False
    """A process that is not ours, behind the queue proxy."""
    spared: bool = False
    """Nothing of it is killed in the second half, so that there are processes old enough to be weighed."""

    def spec(self) -> dict[str, Any]:
        changes: dict[str, Any] = {
            "max_concurrency": self.slots,
            "max_queue_length": self.queue,
            "timeout": f"{TIMEOUT:g}s",
            "idempotent": self.idempotent,
            "autoscaling": {
                "min_replicas": self.least,
                "max_replicas": self.most,
                "window": "4s",
                "upscale_stabilization_period": "0s",
                "downscale_stabilization_period": "6s",
            },
        }
        if self.foreign:
            return {"name": self.name, "process": {"command": ["python", "server.py"]}} | changes
        return handler_api(self.name, **changes)

    def write(self, folder: Path) -> Path:
        project = Project(folder / self.name)
        project.write(self.spec(), handler=STREAMER if self.streams else SLEEPER)
        (project.folder / "server.py").write_text(SERVER)
        return project.folder


TARGETS = (
    Target(
        name="cold", slots=2, queue=100, rate=4, burst=12, silence=20, seconds=0.4, least=0, idempotent=True
    ),
    Target(name="narrow", slots=1, queue=3, rate=6, burst=15, silence=6, seconds=0.15),
    Target(
        name="streams", slots=8, queue=50, rate=8, burst=30, silence=6, seconds=1.0, streams=True, spared=True
    ),
    Target(name="foreign", slots=4, queue=20, rate=8, burst=30, silence=6, seconds=0.3, foreign=True),
)
