"""Nothing is sent to a listener that has not proved that it is the operator."""

from __future__ import annotations

import os
import socket
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from unittest.mock import Mock

import pytest

from gyrus.aio import unix_sockets
from gyrus.client.client import Client
from gyrus.client.connections import is_safe
from gyrus.client.errors import BadEnvironments, OperatorUnreachable, UnprovenOperator
from gyrus.contract.home import Home
from gyrus.operator.certificate import tls_of
from support.operator_thread import TOKEN, Operator
from support.servers import hanging_up
from support.tls import tls_server


def test_the_socket_of_the_own_user_needs_no_token(operator: Operator) -> None:
    with Client.at(f"unix://{operator.home.control_socket}") as client:
        assert client.apis() == []
    with Client() as client:
        assert client.environment.token == ""
        assert client.apis() == []


def test_the_socket_of_another_user_gets_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "operator.sock"
    uid = os.geteuid() + 1
    monkeypatch.setattr(unix_sockets, "peer_uid", Mock(return_value=uid))
    with (
        hanging_up(unix_sockets.bind(path)) as received,
        Client.at(f"unix://{path}") as client,
        pytest.raises(UnprovenOperator, match=rf"another user \(id {uid}\)\. Nothing was sent"),
    ):
        client.apis()
    assert received == [b""]


def test_a_listener_without_the_certificate_gets_no_token(operator: Operator) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with (
        hanging_up(listener) as received,
        Client.at(url, TOKEN, certificate=operator.certificate) as client,
        pytest.raises((UnprovenOperator, OperatorUnreachable)),
    ):
        client.apis()
    assert all(TOKEN.encode() not in each and b"GET" not in each for each in received)


def test_another_certificate_is_refused(operator: Operator, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.root.mkdir()
    tls_of(other)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with tls_server(other, Handler) as url:
        for certificate in (operator.certificate, None):
            with (
                Client.at(url, TOKEN, certificate=certificate) as client,
                pytest.raises(UnprovenOperator, match="did not prove that it is the operator"),
            ):
                client.apis()
    assert asked == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "127.0.0.1:1", "https://", "ftp://x", "https://x:99999"]
)
def test_urls_that_prove_nothing(url: str) -> None:
    assert not is_safe(url)
    with pytest.raises(BadEnvironments):
        Client.at(url, TOKEN)


@pytest.mark.parametrize("content", [None, "", "no certificate", "\xff"])
def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "operator.crt"
    if content is not None:
        file.write_text(content)
    with pytest.raises(BadEnvironments, match=str(file)):
        Client.at("https://x", TOKEN, certificate=file)
