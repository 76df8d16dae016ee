"""Emulators of AWS as processes on free loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, cast

import boto3

START = 60.0
"""Seconds."""
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


@dataclass
class Emulator:
    """An emulator that runs."""

    endpoint: str
    process: subprocess.Popen[bytes]

    def pause(self) -> None:
        """Stop answering until :meth:`go_on`."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables with which AWS's tools reach it."""
        return KEYS | {"AWS_ENDPOINT_URL": self.endpoint}

    def client(self, service: str) -> Any:
        return cast(Any, boto3).client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name=REGION,
        )

    def bucket(self, *, versioned: bool = False) -> str:
        """Make a bucket, and return its name."""
        name = f"gyrus-{token_hex(5)}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        if versioned:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name


@contextmanager
def moto_server(folder: Path) -> Generator[Emulator]:
    """Run moto's server. ``folder``: for its output."""
    port = _free_port()
    program = Path(sys.executable).parent / "moto_server"
    with _running([str(program), "-H", "127.0.0.1", "-p", str(port)], port, folder / "moto.log") as emulator:
        yield emulator


@contextmanager
def ministack(folder: Path) -> Generator[Emulator]:
    """Run ministack. ``folder``: for its output."""
    port = _free_port()
    program = Path(sys.executable).parent / "ministack"
    own = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1"}
    with _running([str(program)], port, folder / "ministack.log", own) as emulator:
        yield emulator


@contextmanager
def _running(command: list[str], port: int, log: Path, own: Mapping[str, str] = {}) -> Generator[Emulator]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | own,
            cwd=log.parent,
        )
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _await(endpoint, process, log)
        yield Emulator(endpoint, process)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as attempt:
        attempt.bind(("127.0.0.1", 0))
        return attempt.getsockname()[1]


def _await(endpoint: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(endpoint, timeout=5):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{endpoint} does not answer: {log.read_text()[-2000:]}")
