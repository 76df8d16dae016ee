"""What a command reports if this machine's operator does not answer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gyrus.contract.home import Home
from support.command_line import Gyrus

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(os.name == "nt", reason="the local platform needs Linux or macOS"),
]


LISTENING = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    input()
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The home of a platform whose operator was killed."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    return home


def announce(home: Home, gateway: int, process: psutil.Process | None = None) -> None:
    pid, started = (process.pid, process.create_time()) if process else (os.getpid(), 0.0)
    socket = str(home.control_socket)
    facts = {"pid": pid, "pid_started": started, "gateway_port": gateway, "socket": socket}
    home.operator_file.write_text(json.dumps(facts))


@contextmanager
def gateway_of(home: Home) -> Generator[int]:
    """A process that listens, as the gateway of this home does."""
    words = [sys.executable, "-c", LISTENING, "--config-path", str(home.envoy_bootstrap)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield int(process.stdout.readline())
        process.kill()


@pytest.mark.parametrize("command", ["get", "describe iris", "predict iris {}", "logs iris"])
def test_endpoints_that_serve_without_an_operator_are_named(gyrus: Gyrus, home: Home, command: str) -> None:
    with gateway_of(home) as port:
        announce(home, port)
        ran = gyrus(*command.split())
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: The operator of the local platform has ended. ")
    assert f"still serve at http://127.0.0.1:{port}/<name>" in ran.err
    assert "gyrus up" in ran.err
    assert str(home.operator_log) in ran.err


def test_an_orderly_end_leaves_endpoints_that_are_found_by_the_settings(gyrus: Gyrus, home: Home) -> None:
    with gateway_of(home) as port:
        home.settings_file.write_text(json.dumps({"gateway": port}))
        assert f"http://127.0.0.1:{port}/<name>" in gyrus("get").err
        assert "has ended" in gyrus("version").out


def test_an_operator_that_has_ended_with_all_else_names_its_log(gyrus: Gyrus, home: Home) -> None:
    announce(home, 1)
    reported = gyrus("get").err
    assert reported.startswith(
        "error: The local platform is not running. Its operator has ended unexpectedly.\n"
    )
    assert str(home.operator_log) in reported


def test_a_process_that_does_not_answer_is_named(gyrus: Gyrus, home: Home) -> None:
    announce(home, 1, psutil.Process())
    reported = gyrus("get").err
    assert f"Its process {os.getpid()} still runs: it is shutting down, or it is blocked." in reported


def test_an_operator_of_an_earlier_gyrus_is_replaced_by_up(gyrus: Gyrus, home: Home) -> None:
    process = psutil.Process()
    facts = {"pid": process.pid, "pid_started": process.create_time(), "operator_port": 1, "gateway_port": 2}
    home.operator_file.write_text(json.dumps(facts))
    assert gyrus("get").err == (
        f"error: The operator of the local platform (process {process.pid}) is of an earlier gyrus.\n"
        "  Replace it, while replicas and gateway continue, with: gyrus up\n"
    )


def test_another_program_on_the_port_is_no_gateway(gyrus: Gyrus, home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        home.settings_file.write_text(json.dumps({"gateway": other.getsockname()[1]}))
        assert gyrus("get").err == "error: The local platform is not running.\n  Start it with: gyrus up\n"
