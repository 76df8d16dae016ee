"""What is answered before any command is imported, and what every command shares."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

import gyrus as package
from gyrus.cli import command_index
from gyrus.cli.session import CliSession
from support.command_line import Gyrus


def shortest_seconds(*commands: list[str]) -> list[float]:
    """The shortest time of each, of nine in turn: other programs' work lengthens some, and shortens none."""

    def once(command: list[str]) -> float:
        begun = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    rounds = [[once(command) for command in commands] for _ in range(9)]
    return [min(times) for times in zip(*rounds, strict=True)]


@pytest.mark.processes
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_starts_within_three_times_of_python_itself(option: str) -> None:
    bare, ours = shortest_seconds(
        [sys.executable, "-c", "pass"], [sys.executable, "-m", "gyrus.cli.main", option]
    )
    assert ours <= 3 * bare


def test_the_version(gyrus: Gyrus) -> None:
    assert gyrus("--version").out == f"gyrus {package.__version__}\n"
    assert gyrus("-o", "json", "--version").out == f"gyrus {package.__version__}\n"


def test_the_overview_is_the_same_wherever_it_comes_from(gyrus: Gyrus) -> None:
    overview = gyrus("--help").out
    assert gyrus().out == overview
    assert gyrus("-o", "json", "--help").out == overview
    assert all(f"  {name} " in overview for name in command_index.NAMES)


@pytest.mark.parametrize("name", command_index.NAMES)
def test_every_command_has_help(name: str, gyrus: Gyrus) -> None:
    ran = gyrus(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: gyrus {name} ")
    assert gyrus(name, "-h") == ran


@pytest.mark.parametrize("name", command_index.NAMES)
def test_every_command_of_the_table_is_in_its_module(name: str) -> None:
    command = importlib.import_module(command_index.module(name)).command
    assert isinstance(command, click.Command)
    assert command.name == name


def test_every_module_is_in_the_table() -> None:
    folder = Path(str(package.__file__)).parent / "cli" / "commands"
    assert {file.stem for file in folder.glob("[a-z]*.py")} == set(command_index.NAMES)


def test_a_mistyped_command(gyrus: Gyrus) -> None:
    ran = gyrus("dploy")
    assert ran.code == 2
    assert ran.err == "error: There is no command 'dploy'. Did you mean deploy?\n  See: gyrus --help\n"


def test_a_mistyped_option(gyrus: Gyrus) -> None:
    ran = gyrus("get", "--wach")
    assert ran.code == 2
    assert "--wach" in ran.err
    assert "See: gyrus get --help" in ran.err


def test_global_options_come_before_or_after_the_command(gyrus: Gyrus) -> None:
    unknown = gyrus("-e", "nowhere", "get")
    assert unknown.code == 2
    assert unknown == gyrus("get", "-e", "nowhere")
    assert unknown.err == (
        "error: There is no environment named 'nowhere'.\n"
        "  Known are: local. Add one with: gyrus env add\n"
    )  # fmt: skip


def test_the_environment_of_the_shell_counts(gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYRUS_ENV", "nowhere")
    assert "'nowhere'" in gyrus("get").err


def test_a_platform_that_is_down_is_reported_with_the_remedy(gyrus: Gyrus) -> None:
    ran = gyrus("get", "-o", "json")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "error: The local platform is not running.\n  Start it with: gyrus up\n"


def test_a_bug_is_reported_shortly_and_its_details_are_kept(
    gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(self: CliSession) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(CliSession, "client", broken)
    ran = gyrus("get")
    log = tmp_path / "home" / "logs" / "command-line.log"
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "ZeroDivisionError: oh" in ran.err
    assert str(log) in ran.err
    assert "Traceback" in log.read_text()
    monkeypatch.setenv("GYRUS_DEBUG", "1")
    assert "Traceback" in gyrus("get").err


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ran = subprocess.run(
        [sys.executable, "-m", "gyrus.cli.main", "schema"],
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (141, b"")


UNIX_ONLY = ("fcntl", "resource", "pwd", "grp", "termios", "uvloop", "httptools", "grpc")


@pytest.mark.processes
def test_client_and_command_line_need_nothing_of_unix_alone() -> None:
    program = f"""
import importlib, sys
for name in {UNIX_ONLY}:
    sys.modules[name] = None
import gyrus.client.client, gyrus.client.project, gyrus.cli.entry, gyrus.cli.local
import gyrus.cli.command_index as table
for name in table.NAMES:
    importlib.import_module(table.module(name))
from gyrus.client.client import Client
try:
    Client()
except Exception as fault:
    print(type(fault).__name__)
"""
    environment = {**os.environ, "GYRUS_HOME": os.devnull + "-home"}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ran.stdout == "OperatorUnreachable\n", ran.stderr


def test_on_windows_the_local_platform_is_refused(gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    ran = gyrus("up")
    assert ran.code == 1
    assert "needs Linux or macOS" in ran.err
    assert "WSL" in ran.err
