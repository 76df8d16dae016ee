"""A machine that does not play along: ports, homes, disks, tokens, a dead operator. Each is reported in exact
words, and nothing that was deployed is lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gyrus.contract import problem
from gyrus.contract.home import Home
from support.messages import block
from support.platform import Platform, free_ports, platform_of_its_own
from support.project import Project, handler_api
from support.small_disk import small_disk

ECHO = "class Handler:\n    def predict(self, payload):\n        return payload\n"
MIB = 1024 * 1024
DISK = 64 * MIB


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Project(tmp_path_factory.mktemp("echo")).write(handler_api("echo"), handler=ECHO)


@pytest.fixture(scope="module")
def served(shared_platform: Platform, folder: Path) -> Platform:
    """It has one API, ``echo``, that must go on serving."""
    shared_platform.gyrus("deploy", folder, "--yes")
    return shared_platform


def serves(platform: Platform) -> bool:
    return platform.ask("echo", {"still": "there"}).body == b'{"still":"there"}'


def at(root: Path) -> Platform:
    """A home and ports that nothing uses yet."""
    gateway_port, operator_port = free_ports(2)
    return Platform(Home(root), gateway_port, operator_port)


# Ports


@contextmanager
def other_listener() -> Generator[int]:
    """The port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


@pytest.mark.parametrize(
    ("option", "component"), [("--gateway-port", "gateway"), ("--operator-port", "operator")]
)
def test_a_port_that_is_taken(tmp_path: Path, option: str, component: str) -> None:
    unused = at(tmp_path / "home")
    ports = {"--gateway-port": unused.gateway_port, "--operator-port": unused.operator_port}
    with other_listener() as taken:
        arguments = [str(word) for pair in (ports | {option: taken}).items() for word in pair]
        reported = unused.failure("up", *arguments)
        holder = f"{psutil.Process().name()} (process {os.getpid()})"
    assert block(reported) == (
        f"error: The local platform did not start. The {component} cannot listen on 127.0.0.1:{taken}: "
        f"{holder} has the port. Stop it, or choose another port with {option}.\n"
    )
    assert unused.remains() == []


@pytest.mark.parametrize(("option", "part"), [("--gateway-port", "gateway"), ("--operator-port", "operator")])
def test_a_port_that_another_home_has(served: Platform, tmp_path: Path, option: str, part: str) -> None:
    unused = at(tmp_path / "home")
    ports = {"--gateway-port": unused.gateway_port, "--operator-port": unused.operator_port}
    taken = served.gateway_port if part == "gateway" else served.operator_port
    arguments = [str(word) for pair in (ports | {option: taken}).items() for word in pair]
    reported, home = unused.failure("up", *arguments), served.home.root
    assert f"The {part} cannot listen on 127.0.0.1:{taken}: the platform in {home} has the port" in reported
    assert f"(GYRUS_HOME={home} gyrus down), or choose another port with {option}." in reported


def test_one_port_for_both(tmp_path: Path) -> None:
    reported = at(tmp_path / "home").failure(
        "up", "--gateway-port", "9000", "--operator-port", "9000", code=2
    )
    assert reported == (
        "error: Gateway and operator cannot both listen on port 9000.\n"
        "  Give them different ports with --gateway-port and --operator-port.\n"
    )


def test_other_ports_than_those_it_has(served: Platform) -> None:
    [other] = free_ports(1)
    assert served.failure("up", "--gateway-port", str(other)) == (
        f"error: The local platform is up with gateway port {served.gateway_port}, not {other}.\n"
        "  Stop it first: gyrus down\n"
    )
    assert serves(served)


# The home


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A home and why it cannot be written to: root may write everywhere but on a read-only file system."""
    if os.geteuid():
        tmp_path.chmod(0o500)
        yield tmp_path / "home", "Permission denied"
        tmp_path.chmod(0o700)
    else:
        with small_disk(DISK, "ro") as place:
            yield place, "Read-only file system"


@pytest.mark.parametrize(
    "command",
    [("up",), ("deploy",), ("env", "add", "far", "--url", "https://far:8079", "--token", "t")],
    ids=lambda command: command[0],
)
def test_an_unwritable_home(unwritable: tuple[Path, str], folder: Path, command: tuple[str, ...]) -> None:
    home, why = unwritable
    arguments = (*command, folder) if command == ("deploy",) else command
    assert block(at(home).failure(*arguments)) == (
        f"error: gyrus cannot use its home {home}: {why}.\n"
        "  Set GYRUS_HOME to a folder that you may read and write.\n"
    )


@pytest.mark.parametrize("command", ["up", "deploy", "get"])
def test_a_home_that_is_a_file(tmp_path: Path, folder: Path, command: str) -> None:
    home = tmp_path / "home"
    home.write_text("mine")
    arguments = (command, folder) if command == "deploy" else (command,)
    reported = block(at(home).failure(*arguments))
    assert reported.startswith(f"error: gyrus cannot use its home {home}: ")
    assert reported.endswith(".\n  Set GYRUS_HOME to a folder that you may read and write.\n")
    assert home.read_text() == "mine"


# The disk


def test_a_full_disk_on_upload(folder: Path, tmp_path: Path) -> None:
    with small_disk(DISK) as place, platform_of_its_own(root=place) as platform:
        platform.gyrus("deploy", folder, "--yes")
        packages = sorted(platform.home.packages.iterdir())
        large = Project(tmp_path / "large").write(handler_api("large"), handler=ECHO)
        (large / "weights").write_bytes(os.urandom(DISK - 2 * MIB))
        assert block(platform.failure("deploy", large, "--yes")) == (
            f"error: The disk is full: {platform.home.packages} could not be written. "
            "Free some space and try again.\n"
        )
        assert serves(platform)
        assert sorted(platform.home.packages.iterdir()) == packages, "nothing of it is kept"
        (large / "weights").write_bytes(b"few")
        platform.gyrus("deploy", large, "--yes")


# The token


def test_a_wrong_token(served: Platform) -> None:
    url = f"https://127.0.0.1:{served.operator_port}"
    served.gyrus(
        "env", "add", "far", "--url", url, "--token", "guessed", "--certificate", served.home.certificate
    )
    assert served.failure("-e", "far", "get") == (
        f"error: The operator at {url} does not accept the token of environment far.\n"
        "  Ask for a token of your own (gyrus token create NAME), and set it with: gyrus env add\n"
        "  On one machine, the operator's first token is in the file token of its GYRUS_HOME, and each start "
        "changes it.\n"
    )
    assert serves(served)
    assert served.json("get", "echo")["status"] == "live"


def test_no_token(served: Platform) -> None:
    url = f"https://127.0.0.1:{served.operator_port}/v1/apis"
    words = [sys.executable, "-c", _ASK, url, str(served.home.certificate)]
    asked = subprocess.run(words, capture_output=True, text=True, check=True)
    kind = problem.UNAUTHORIZED
    assert json.loads(asked.stdout) == {
        "type": kind.type,
        "title": kind.title,
        "status": 401,
        "detail": "Send the header `Authorization: Bearer TOKEN` with the token that is in "
        f"{served.home.token}.",
    }


_ASK = """
import ssl, sys, urllib.error, urllib.request
trusting = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=sys.argv[2]))
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({}), trusting).open(sys.argv[1])
except urllib.error.HTTPError as refusal:
    print(refusal.read().decode())
"""


def test_plain_http(served: Platform) -> None:
    reported = served.failure("env", "add", "far", "--url", "http://far:8079", "--token", "t", code=2)
    assert reported.startswith("error: http://far:8079 is refused: over plain HTTP, whatever listens there ")


# The operator and its database


def test_a_dead_operator_is_reported_and_replaced(served: Platform, tmp_path: Path) -> None:
    operator = psutil.Process(json.loads(served.home.operator_file.read_text())["pid"])
    operator.kill()
    psutil.wait_procs([operator], timeout=10)
    assert block(served.failure("get")) == (
        "error: The operator of the local platform has ended. The endpoints still serve at "
        f"{served.url('<name>')}, but nothing can be deployed, scaled or shown.\n"
        "  Start an operator that takes them over: gyrus up\n"
        f"  The operator's log is {served.home.operator_log}\n"
    )
    assert serves(served)
    other = Project(tmp_path / "other").write(handler_api("other"), handler=ECHO)
    served.gyrus("deploy", other, "--yes")
    assert served.ask("other", 1).json == 1
    assert serves(served)


def test_a_damaged_database(platform: Platform, folder: Path) -> None:
    platform.gyrus("deploy", folder, "--yes")
    platform.gyrus("down")
    database = platform.home.database
    kept = database.read_bytes()
    database.write_bytes(b"rubbish" * 4096)
    reported = (
        f"error: The local platform did not start. The database {database} cannot be used: "
        "file is not a database. "
        "Replace it with a copy, or move it away to start with no APIs.\n"
    )
    assert block(platform.failure("up")) == reported
    assert block(platform.failure("deploy", folder, "--yes")) == reported
    database.write_bytes(kept)
    platform.gyrus("deploy", folder, "--yes")
    assert serves(platform)
    assert platform.json("get", "echo")["revision"] == 1
