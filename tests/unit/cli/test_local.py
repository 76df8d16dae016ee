"""The local platform's process: found, started, ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from gyrus.cli import local
from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.local import PlatformSettings
from gyrus.client.environments import EnvironmentEntry, Environments
from gyrus.contract.home import Home
from support.command_line import Gyrus
from support.operator_thread import Operator
from support.platform import free_ports


@pytest.fixture
def home(tmp_path: Path) -> Home:
    (tmp_path / "home").mkdir(mode=0o700)
    return Home(tmp_path / "home")


@pytest.fixture
def bystander() -> Generator[psutil.Process]:
    """A process that has nothing to do with it, and that ends on request."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield psutil.Process(process.pid)
        process.kill()


def announce(home: Home, pid: int, started: float) -> None:
    facts = {"pid": pid, "pid_started": started, "gateway_port": 8080, "socket": str(home.control_socket)}
    home.operator_file.write_text(json.dumps(facts))


@pytest.mark.processes
def test_an_operator_that_lives_is_found(home: Home, bystander: psutil.Process) -> None:
    assert local.running(home) is None
    announce(home, bystander.pid, bystander.create_time())
    found = local.running(home)
    assert found is not None
    assert found.pid == bystander.pid


@pytest.mark.processes
def test_the_file_of_a_dead_operator_is_not_believed(home: Home, bystander: psutil.Process) -> None:
    announce(home, bystander.pid, bystander.create_time())
    bystander.kill()
    bystander.wait()
    assert local.running(home) is None


@pytest.mark.processes
def test_another_process_with_its_number_is_not_the_operator(home: Home, bystander: psutil.Process) -> None:
    announce(home, bystander.pid, bystander.create_time() - 3600)
    assert local.running(home) is None


@pytest.mark.processes
def test_an_operator_that_does_not_answer_is_ended(home: Home, bystander: psutil.Process) -> None:
    announce(home, bystander.pid, bystander.create_time())
    found = local.running(home)
    assert found is not None
    local.end(found)
    assert local.running(home) is None


def test_settings_as_given_as_remembered_as_usual(home: Home) -> None:
    assert local.choose(local.remembered(home)) == PlatformSettings(8080, None, overcommit=False)
    local.remember(home, PlatformSettings(1001, 1002, overcommit=True))
    known = local.remembered(home)
    assert local.choose(known) == PlatformSettings(1001, 1002, overcommit=True)
    changed = local.choose(known, gateway=1003, overcommit=False)
    assert changed == PlatformSettings(1003, 1002, overcommit=False)
    assert local.choose(known, operator=0) == PlatformSettings(1001, None, overcommit=True)
    with pytest.raises(WrongInput, match="1002"):
        local.choose(known, gateway=1002)


def test_the_operators_port_of_an_older_gyrus_is_off(home: Home) -> None:
    home.settings_file.write_text('{"gateway": 1001, "operator": 1002}')
    assert local.remembered(home) == PlatformSettings(1001, None)


def test_the_operators_port_is_off_unless_asked_for(home: Home) -> None:
    assert "--operator-port" not in local.command(home, PlatformSettings())
    assert "1002" in local.command(home, PlatformSettings(operator_port=1002))


def test_overcommit_is_passed_to_the_operator(home: Home) -> None:
    assert "--overcommit" in local.command(home, PlatformSettings(overcommit=True))
    assert "--overcommit" not in local.command(home, PlatformSettings())


def test_up_when_it_is_up_already(operator: Operator, gyrus: Gyrus) -> None:
    ran = gyrus("up")
    assert ran.code == 0
    assert ran.out.startswith("The local platform is up already.\n")
    assert operator.url in ran.out
    assert gyrus("up", "-o", "json").json["operator"] == operator.url


def test_up_on_other_ports_than_it_is_up_on(operator: Operator, gyrus: Gyrus) -> None:
    ran = gyrus("up", "--operator-port", "1002")
    assert ran.code == 1
    assert f"with operator port {operator.port}" in ran.err
    assert "gyrus down" in ran.err


def test_up_with_overcommit_when_it_is_up_without(operator: Operator, gyrus: Gyrus) -> None:
    ran = gyrus("up", "--overcommit")
    assert ran.code == 1
    assert "up without --overcommit" in ran.err
    assert "gyrus down" in ran.err
    assert gyrus("up", "--no-overcommit", "-o", "json").json["overcommit"] is False


def test_down_when_it_is_not_up(gyrus: Gyrus) -> None:
    ran = gyrus("down")
    assert (ran.code, ran.out) == (0, "The local platform is not up.\n")


@pytest.mark.parametrize(
    ("command", "does", "remedy"),
    [
        ("down", "stops", "To remove gyrus from a cluster, run: gyrus cluster uninstall"),
        ("up", "starts", "To put gyrus on a cluster, run: gyrus cluster install"),
    ],
)
def test_a_cluster_is_neither_started_nor_stopped(
    gyrus: Gyrus, home: Home, command: str, does: str, remedy: str
) -> None:
    entry = EnvironmentEntry(url="https://10.0.0.1:8443", token="t")
    Environments().added("staging", entry).save(home)
    ran = gyrus("-e", "staging", command)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: gyrus {command} {does} this machine's platform, and -e staging names another operator.\n"
        f"  Leave out -e. {remedy}\n"
    )
    assert gyrus("-e", "stagign", "down").code == 2
    assert gyrus("-e", "local", "down").out == "The local platform is not up.\n"


@pytest.mark.skipif(os.name == "nt", reason="the local platform needs Linux or macOS")
def test_a_home_that_cannot_be_written(gyrus: Gyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GYRUS_HOME", str(tmp_path / "file" / "home"))
    ran = gyrus("up")
    assert ran.code == 1
    assert ran.err.endswith(
        f"error: gyrus cannot use its home {tmp_path}/file/home: Not a directory.\n"
        "  Set GYRUS_HOME to a folder that you may read and write.\n"
    )


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="the local platform needs Linux or macOS")
def test_a_port_that_is_taken(gyrus: Gyrus, home: Home) -> None:
    gateway, _ = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = gyrus("up", "--gateway-port", str(gateway), "--operator-port", str(port))
    assert ran.code == 1
    assert f"The local platform did not start. The operator cannot listen on 127.0.0.1:{port}: " in ran.err
    assert not home.settings_file.exists()


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="the local platform needs Linux or macOS")
def test_an_operator_that_dies_at_its_start_leaves_its_last_words(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no module named gyrus >&2\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(CommandFailure) as reported:
        local.start(home, PlatformSettings())
    assert reported.value.message == "The operator exited during its start."
    assert reported.value.details == "no module named gyrus"
    assert str(home.operator_log) in reported.value.remedy


@pytest.mark.processes
def test_what_is_left_of_a_platform_is_seen(home: Home) -> None:
    assert not local.has_leftovers(home)
    file = str(home.replicas / "config.json")
    with subprocess.Popen([sys.executable, "-c", "input()", file], stdin=subprocess.PIPE) as process:
        assert local.has_leftovers(home)
        assert not local.has_leftovers(Home(home.root.with_name("hom")))
        process.kill()


def test_the_price_of_the_machine_is_remembered_and_removed(home: Home) -> None:
    known = local.choose(PlatformSettings(), price=0.1)
    assert known.price == 0.1
    assert local.choose(known).price == 0.1
    assert local.choose(known, price=0).price is None
    command = local.command(home, known)
    assert command[command.index("--price") + 1] == "0.1"
    assert "--price" not in local.command(home, PlatformSettings())
