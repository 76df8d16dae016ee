"""Servers that do not prove themselves: one message for each cause, with its remedy."""

from __future__ import annotations

import re
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gyrus.client.client import Client
from gyrus.client.errors import BadEnvironments, EndpointUnreachable, UnprovenOperator
from gyrus.client.prediction import EndpointCache
from gyrus.cluster.certificates import VALID, KeyPair, issue, new_authority
from support.servers import running

NOW = datetime.now(UTC)
AUTHORITY, OTHER = (new_authority("authority", NOW - timedelta(days=800)) for _ in range(2))
OPERATOR = ["gyrus-operator"]
OTHER_CERTIFICATE = "Check the URL, and that the certificate of `gyrus env add` is the operator's."
NAME_IT = (
    "Name the file of its authority with: gyrus env add NAME --endpoint-authority FILE, or SSL_CERT_FILE"
)
CLOCK = r"unless this machine's clock is wrong \(\d{4}-\d\d-\d\d \d\d:\d\d UTC\)\."
BEFORE = NOW - VALID - timedelta(days=1)
LATER = NOW + timedelta(days=1)


class Apis(BaseHTTPRequestHandler):
    """An operator without APIs, and an endpoint."""

    def do_GET(self) -> None:
        self._answer(b"[]")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        return

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def served(folder: Path, pair: KeyPair) -> Generator[str]:
    """A server with this certificate. Yields its URL."""
    certificate, key = folder / "tls.crt", folder / "tls.key"
    certificate.write_text(pair.certificate)
    key.write_text(pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Apis)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with running(server, "TLS server") as port:
        yield f"https://127.0.0.1:{port}"


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    file = tmp_path / "ca.crt"
    file.write_text(OTHER.certificate + AUTHORITY.certificate)
    return file


def test_all_certificates_of_the_authority_for_the_operator_are_accepted(
    tmp_path: Path, authority: Path
) -> None:
    """Also at an address that no certificate has, and after their renewal."""
    for _ in range(2):
        with (
            served(tmp_path, issue(AUTHORITY, OPERATOR, NOW)) as url,
            Client.at(url, "token", authority=authority) as client,
        ):
            assert client.apis() == []


@pytest.mark.parametrize(
    ("pair", "cause", "remedy"),
    [
        (
            issue(AUTHORITY, OPERATOR, BEFORE),
            "its certificate has expired",
            f"Renew it with: gyrus cluster install, {CLOCK}",
        ),
        (
            issue(AUTHORITY, OPERATOR, LATER),
            "its certificate is not valid yet",
            f"Renew it with: gyrus cluster install, {CLOCK}",
        ),
        (
            issue(AUTHORITY, ["gyrus-gateway"], NOW),
            "its certificate is of the installation, but not for gyrus-operator",
            r"Check the URL: another part of the installation answers at it\.",
        ),
        (
            issue(new_authority("another", NOW), OPERATOR, NOW),
            "its certificate is not of the authority in FILE",
            OTHER_CERTIFICATE,
        ),
    ],
)
def test_an_operator_on_kubernetes_that_does_not_prove_itself(
    pair: KeyPair, cause: str, remedy: str, tmp_path: Path, authority: Path
) -> None:
    with (
        served(tmp_path, pair) as url,
        Client.at(url, "token", authority=authority) as client,
        pytest.raises(UnprovenOperator) as fault,
    ):
        client.apis()
    assert fault.value.message.replace(str(authority), "FILE") == (
        f"The server at {url} did not prove that it is the operator: {cause}. Nothing was sent to it."
    )
    assert re.fullmatch(remedy, fault.value.remedy)


def test_a_renewed_certificate_is_not_the_one_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "operator.crt"
    file.write_text(issue(AUTHORITY, OPERATOR, NOW).certificate)
    with (
        served(tmp_path, issue(AUTHORITY, OPERATOR, NOW)) as url,
        Client.at(url, "token", certificate=file) as client,
        pytest.raises(UnprovenOperator) as fault,
    ):
        client.apis()
    assert f"the operator: its certificate is not the one in {file}. Nothing" in fault.value.message
    assert fault.value.remedy == OTHER_CERTIFICATE


def test_an_authority_that_the_system_does_not_know(tmp_path: Path) -> None:
    with (
        served(tmp_path, issue(AUTHORITY, OPERATOR, NOW)) as url,
        Client.at(url, "token") as client,
        pytest.raises(UnprovenOperator) as fault,
    ):
        client.apis()
    assert "its certificate is of no authority that this system trusts." in fault.value.message
    assert fault.value.remedy == (
        "Name its certificate with: gyrus env add NAME --certificate FILE, or its authority with: "
        "--authority FILE"
    )


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "ca.crt"
    if content is not None:
        file.write_text(content)
    for own, of_endpoints in ((file, None), (None, file)):
        with pytest.raises(BadEnvironments) as fault:
            Client.at("https://x", "token", authority=own, endpoint_authority=of_endpoints)
        assert fault.value.message.startswith(f"The authority cannot be read from {file}: ")
        assert fault.value.remedy == "On Kubernetes, write it again with: gyrus cluster connect"


def predicted(url: str, authority: Path | None) -> object:
    endpoints = EndpointCache(authority)
    try:
        return endpoints.post(url, b"{}", "application/json", {}, 5.0).value()
    finally:
        endpoints.close()


def test_an_endpoint_of_a_private_authority_answers(tmp_path: Path, authority: Path) -> None:
    with served(tmp_path, issue(AUTHORITY, ["127.0.0.1"], NOW)) as url:
        assert predicted(url, authority) == {}


@pytest.mark.parametrize(
    ("pair", "trusted", "cause", "remedy"),
    [
        (
            issue(AUTHORITY, ["127.0.0.1"], BEFORE),
            True,
            "its certificate has expired",
            rf"Renew the Secret of gateway\.tls, {CLOCK}",
        ),
        (
            issue(AUTHORITY, ["models.example.com"], NOW),
            True,
            "its certificate is for another name",
            r"Set gateway\.url in the values file to a name of the certificate\.",
        ),
        (
            issue(AUTHORITY, ["127.0.0.1"], NOW),
            False,
            "its certificate is of no authority that this system trusts",
            NAME_IT,
        ),
        (
            issue(new_authority("another", NOW), ["127.0.0.1"], NOW),
            True,
            "its certificate is of no authority that this system trusts, nor of the authority in FILE",
            NAME_IT,
        ),
    ],
)
def test_an_endpoint_that_does_not_prove_itself(
    pair: KeyPair, trusted: bool, cause: str, remedy: str, tmp_path: Path, authority: Path
) -> None:
    with served(tmp_path, pair) as url, pytest.raises(EndpointUnreachable) as fault:
        predicted(url, authority if trusted else None)
    assert fault.value.message.replace(str(authority), "FILE") == (
        f"The server at {url} did not prove itself: {cause}. Nothing was sent to it."
    )
    assert re.fullmatch(remedy, fault.value.remedy)
