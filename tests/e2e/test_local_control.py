"""The operator's own doors: other users of the machine get nothing through them, and cannot block them.

Anyone can run the attack on its port by hand: `scripts/test tests/e2e/test_local_control.py -k half_open`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from support.looking import until
from support.platform import Platform, platform_of_its_own
from support.project import ECHO_REVISION, Project, handler_api

STRANGER = 54321
"""A user that no account has."""
CONNECTIONS = 10_000
ANSWER_SECONDS = 30.0
"""Within which every command must answer, on a machine that is busy with other tests."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may run processes of another user")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Generator[Platform]:
    with platform_of_its_own() as platform:
        project = Project(tmp_path_factory.mktemp("echo")).write(
            handler_api("echo", config={"version": 7}), handler=ECHO_REVISION
        )
        platform.gyrus("deploy", project, "--yes")
        yield platform


def operator(platform: Platform) -> psutil.Process:
    return psutil.Process(json.loads(platform.home.operator_file.read_text())["pid"])


# Half-open connections


HOLD = """
import resource, socket, sys, time
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
held = []
for number in range(int(sys.argv[2])):
    connection = socket.socket()
    connection.settimeout(10)
    connection.connect(("127.0.0.1", int(sys.argv[1])))
    if number % 2:
        connection.send(b"\\x16\\x03")
    held.append(connection)
print(len(held), flush=True)
sys.stdin.read()
"""


@contextmanager
def half_open(port: int, number: int) -> Generator[None]:
    """Connections without a request, half of them with the beginning of one, from a process each 5,000."""
    most = min(5_000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 100)
    parts = [min(most, number - begun) for begun in range(0, number, most)]
    words = [[sys.executable, "-c", HOLD, str(port), str(part)] for part in parts]
    attackers = [
        subprocess.Popen(each, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for each in words
    ]
    try:
        for attacker, part in zip(attackers, parts, strict=True):
            assert attacker.stdout
            assert attacker.stdout.readline() == f"{part}\n"
        yield
    finally:
        for attacker in attackers:
            attacker.kill()
            attacker.communicate()


async def test_half_open_connections_keep_no_client_out(served: Platform, tmp_path: Path) -> None:
    home, process = served.home, operator(served)
    served.gyrus(
        "env", "add", "far", "--url", f"https://127.0.0.1:{served.operator_port}",
        "--token-file", home.token, "--certificate", home.certificate,
    )  # fmt: skip
    before = home.operator_log.stat().st_size
    with half_open(served.operator_port, CONNECTIONS):
        for words in (("get",), ("-e", "far", "get"), ("-e", "far", "describe", "echo")):
            began = time.monotonic()
            served.gyrus(*words)
            assert time.monotonic() - began < ANSWER_SECONDS
        assert served.ask("echo", {}).json == {"version": 7}
        assert process.num_fds() < 1000
    assert home.operator_log.stat().st_size - before < 20_000
    await until(lambda: process.num_fds() < 100)


# Another user of the machine


def as_stranger(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, words)), user=STRANGER, group=STRANGER, extra_groups=[], cwd="/",
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@as_root
def test_another_user_gets_no_file(served: Platform) -> None:
    home = served.home
    for path in (
        home.root,
        home.token,
        home.certificate_key,
        home.operator_file,
        home.database,
        home.packages,
    ):
        assert path.exists()
        assert as_stranger("ls", path / "").returncode != 0, path
        assert as_stranger("cat", path).returncode != 0, path
        assert as_stranger("touch", path).returncode != 0, path
    found = [Path(folder, name) for folder, _, names in os.walk(home.root) for name in names]
    # uv gives its locks to all users. The home keeps them out of these, too.
    found = [path for path in found if not path.is_symlink() and path.name != ".lock"]
    loose = [path for path in found if path.stat().st_mode & 0o022]
    assert loose == []


ASK = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b"GET /v1/apis HTTP/1.1\\r\\nhost: o\\r\\n\\r\\n")
print(connection.recv(1000))
"""


@as_root
def test_another_user_gets_no_socket_even_where_the_folder_is_open(served: Platform) -> None:
    home = served.home
    assert as_stranger(_python(), "-c", ASK, home.control_socket).returncode != 0
    try:
        home.root.chmod(0o755)
        assert "PermissionError" in as_stranger(_python(), "-c", ASK, home.control_socket).stderr
        home.control_socket.chmod(0o777)
        refused = as_stranger(_python(), "-c", ASK, home.control_socket)
        assert refused.stdout.strip() in ("", "b''")
        assert f"refused a connection of user {STRANGER}" in home.operator_log.read_text()
    finally:
        home.control_socket.chmod(0o600)
        home.root.chmod(0o700)
    assert served.json("get", "echo")["status"] == "live"


LISTEN = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX if sys.argv[1] == "unix" else socket.AF_INET)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(sys.argv[2] if sys.argv[1] == "unix" else ("127.0.0.1", int(sys.argv[2])))
listener.listen()
print("listening", flush=True)
listener.settimeout(60)
connection, _ = listener.accept()
connection.settimeout(5)
try:
    print(connection.recv(100_000), flush=True)
except OSError as error:
    print(b"", flush=True)
"""


@contextmanager
def listening_stranger(kind: str, address: object) -> Generator[subprocess.Popen[str]]:
    words = [_python(), "-c", LISTEN, kind, str(address)]
    with subprocess.Popen(
        words, user=STRANGER, group=STRANGER, extra_groups=[], cwd="/", stdout=subprocess.PIPE, text=True
    ) as stranger:
        try:
            assert stranger.stdout
            assert stranger.stdout.readline() == "listening\n"
            yield stranger
        finally:
            stranger.kill()


@as_root
def test_another_user_in_the_operators_place_gets_no_token(served: Platform) -> None:
    """The operator is killed, and another user's process takes its port, and even its socket."""
    home, token = served.home, served.home.token.read_text().strip()
    served.gyrus(
        "env", "add", "far", "--url", f"https://127.0.0.1:{served.operator_port}",
        "--token-file", home.token, "--certificate", home.certificate,
    )  # fmt: skip
    process = operator(served)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    with listening_stranger("tcp", served.operator_port) as stranger:
        served.failure("-e", "far", "get")
        assert stranger.stdout
        got = stranger.stdout.readline()
        assert token not in got
        assert "GET" not in got
    home.control_socket.unlink()
    try:
        home.root.chmod(0o777)
        with listening_stranger("unix", home.control_socket) as stranger:
            reported = served.failure("get")
            assert f"belongs to another user (id {STRANGER}). Nothing was sent to it." in reported
            assert stranger.stdout
            assert stranger.stdout.readline().strip() == "b''"
        assert "chmod 700" in served.failure("up")
    finally:
        home.root.chmod(0o700)
    served.up()
    assert served.json("get", "echo")["status"] == "live"
    assert home.token.read_text().strip() != token


@as_root
def test_another_users_process_is_not_taken_for_ours(served: Platform) -> None:
    """Its command line is that of a supervisor of this home."""
    supervisor = next(p for p in served.processes() if "gyrus.runtime.supervisor" in " ".join(p.cmdline()))
    words = [word for word in supervisor.cmdline() if str(served.home.root) in word]
    sleeping = [_python(), "-c", "input()", "gyrus.runtime.supervisor", *words]
    with subprocess.Popen(
        sleeping, user=STRANGER, group=STRANGER, extra_groups=[], cwd="/", stdin=subprocess.PIPE
    ) as it:
        try:
            served.gyrus("down")
            assert it.poll() is None
        finally:
            it.kill()
    served.up()
    assert served.json("get", "echo")["status"] in ("live", "creating")


def _python() -> str:
    """A Python that every user may execute."""
    return os.path.realpath("/usr/bin/python3")


# Without a port, and at a long path


def test_there_is_no_port_unless_asked_for(tmp_path: Path) -> None:
    root = tmp_path / ("long" * 40)
    root.mkdir(mode=0o700)
    with platform_of_its_own(root=root, options=("--operator-port", "0")) as platform:
        assert len(os.fsencode(platform.home.control_socket)) > 107
        assert platform.json("get") == []
        ports = {c.laddr.port for c in operator(platform).net_connections("tcp") if c.status == "LISTEN"}
        assert ports == set()
        assert not platform.home.token.exists()
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", platform.operator_port)) != 0


# The database


def test_a_lost_database_ends_nothing(served: Platform, tmp_path: Path) -> None:
    process = operator(served)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    for file in served.home.root.glob("state.db*"):
        file.rename(tmp_path / file.name)
    replicas = [p.pid for p in served.processes()]
    reported = served.failure("up")
    assert f"The database {served.home.database} is missing" in reported
    assert "gyrus up --new-database" in reported
    assert [p.pid for p in served.processes()] == replicas
    assert served.ask("echo", {}).json == {"version": 7}
    for file in tmp_path.glob("state.db*"):
        file.rename(served.home.root / file.name)
    served.up()
    assert served.json("get", "echo")["status"] == "live"
