"""The processes of a replica, with their commands and variables."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from gyrus.contract.replica import HandlerConfig, ProcessConfig, ReplicaConfig
from gyrus.runtime.supervisor.environment import DEFAULT_PATH, environment_of
from gyrus.runtime.supervisor.port import pick_port
from gyrus.runtime.supervisor.role import expand, roles_of

CONFIG = ReplicaConfig(id="a-1-x", api="a", revision=1, project="/p", python="/e/bin/py", run_dir="/run")
PROCESS = ProcessConfig(command=("serve",), ready_path="/health")


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("$PORT", "80"),
        ("--port={PORT}", "--port=80"),
        ("0.0.0.0:${PORT}", "0.0.0.0:80"),
        ("$PORTS", "$PORTS"),
        ("PORT", "PORT"),
        ("${PORT", "${PORT"),
    ],
)
def test_the_port_is_put_into_words(word: str, expanded: str) -> None:
    assert expand(word, 80) == expanded


def test_a_handler_has_a_process_and_a_socket_for_each() -> None:
    roles = roles_of(replace(CONFIG, handler=HandlerConfig(path="h.py"), processes=2), "/r/config.json")
    assert [role.socket for role in roles] == ["/run/a-1-x.0.sock", "/run/a-1-x.1.sock"]
    assert roles[1].command == ("/e/bin/py", "-P", "-m", "gyrus.runtime.worker", "/r/config.json", "1")


def test_a_queue_proxy_stands_before_a_process_that_wants_one() -> None:
    (alone,) = roles_of(replace(CONFIG, process=PROCESS), "/r/config.json")
    assert (alone.socket, alone.ready_path) == (None, "/health")
    server, queue_proxy = roles_of(replace(CONFIG, process=PROCESS, queue_proxy=True), "/r/config.json")
    assert server == replace(alone, behind_queue_proxy=True)
    assert queue_proxy.socket == "/run/a-1-x.0.sock"


def test_each_process_has_the_address_that_was_given() -> None:
    listen = ("unix:/a/b", "0.0.0.0:8080")
    config = replace(CONFIG, handler=HandlerConfig(path="h.py"), processes=2, listen=listen)
    roles = roles_of(config, "/r/config.json")
    assert [(role.address, role.socket, role.port) for role in roles] == [
        ("unix:/a/b", "/a/b", None),
        ("0.0.0.0:8080", None, 8080),
    ]
    proxied = replace(CONFIG, process=PROCESS, queue_proxy=True, listen=("[::]:8080",))
    server, queue_proxy = roles_of(proxied, "/r/config.json")
    assert (server.address, queue_proxy.address, queue_proxy.port) == (None, "[::]:8080", 8080)


def test_the_environment_is_the_specifications_and_little_else() -> None:
    mine = {"HOME": "/me", "LC_TIME": "C", "AWS_SECRET_ACCESS_KEY": "hush", "PYTHONPATH": "/x", "LANG": "de"}
    made = environment_of(replace(CONFIG, env={"LANG": "fr", "GYRUS_API": "forged"}), mine)
    assert made == {
        "PATH": f"/e/bin:{DEFAULT_PATH}",
        "HOME": "/me",
        "LC_TIME": "C",
        "LANG": "fr",
        "PYTHONUNBUFFERED": "1",
        "GYRUS_API": "a",
        "GYRUS_REPLICA": "a-1-x",
        "GYRUS_REVISION": "1",
    }


def test_bytecode_is_always_written() -> None:
    """Without it, each start would compile all imported packages again."""
    forbidden = {"PYTHONDONTWRITEBYTECODE": "1"}
    assert "PYTHONDONTWRITEBYTECODE" not in environment_of(replace(CONFIG, env=forbidden), forbidden)


def test_a_virtual_environment_is_announced(tmp_path: Path) -> None:
    (tmp_path / "pyvenv.cfg").write_text("")
    made = environment_of(replace(CONFIG, python=str(tmp_path / "bin" / "python"), env={"PATH": "/mine"}), {})
    assert made["VIRTUAL_ENV"] == str(tmp_path)
    assert made["PATH"] == f"{tmp_path}/bin:/mine"


def test_no_port_is_given_twice_and_a_server_can_listen_on_it() -> None:
    ports = [pick_port() for _ in range(300)]
    try:
        assert len({port.number for port in ports}) == 300
        socket.create_server(("127.0.0.1", ports[0].number)).close()
    finally:
        for port in ports:
            port.release()
