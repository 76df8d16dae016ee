"""A server whose certificate is replaced while it runs."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyrus.cluster.certificates import KeyPair, issue, new_authority
from gyrus.server.tls_files import ServerCertificate
from support.secret_volume import SecretVolume

NOW = datetime.now(UTC)
AUTHORITY = new_authority("authority", NOW)


def pair() -> KeyPair:
    return issue(AUTHORITY, ["localhost"], NOW)


@pytest.fixture
def volume(tmp_path: Path) -> SecretVolume:
    return SecretVolume(tmp_path / "tls")


def files(volume: SecretVolume) -> ServerCertificate:
    return ServerCertificate(volume.folder / "tls.crt", volume.folder / "tls.key")


def write(volume: SecretVolume, certificate: KeyPair, key: KeyPair) -> None:
    volume.write({"tls.crt": certificate.certificate, "tls.key": key.key})


async def shown(tls: ServerCertificate) -> str:
    """The certificate that a connection of this moment gets, as PEM."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "localhost", 0, ssl=tls())
    async with server:
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cadata=AUTHORITY.certificate)
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
        der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(der)


async def test_a_connection_gets_the_certificate_of_its_moment(volume: SecretVolume) -> None:
    first, second = pair(), pair()
    write(volume, first, first)
    tls = files(volume)
    assert await shown(tls) == first.certificate
    assert tls() is tls(), "files that have not changed are not read again"
    write(volume, second, second)
    assert await shown(tls) == second.certificate


async def test_files_that_cannot_be_used_change_nothing(
    volume: SecretVolume, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = pair(), pair()
    write(volume, first, first)
    tls = files(volume)
    write(volume, second, first)
    for _ in range(3):
        assert await shown(tls) == first.certificate
    assert [record.levelname for record in caplog.records if "cannot be used" in record.message] == ["ERROR"]
    write(volume, second, second)
    assert await shown(tls) == second.certificate


def test_the_first_files_must_be_usable(volume: SecretVolume) -> None:
    with pytest.raises(FileNotFoundError):
        files(volume)
    write(volume, pair(), pair())
    with pytest.raises(ssl.SSLError):
        files(volume)
