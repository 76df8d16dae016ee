"""The Secrets of an installation: created once, kept, renewed before they end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gyrus.cluster import certificates
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.secrets import CA, CERTIFICATE, KEY, certificate_digests, decoded, manifests, planned
from gyrus.contract import cluster as names
from support.tls import Authority

NOW = datetime(2026, 11, 28, tzinfo=UTC)
HALF = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


def test_a_second_plan_keeps_everything() -> None:
    first = planned({}, "ml", NOW)
    assert planned(first, "ml", NOW + timedelta(days=600)) == first


def test_certificates_are_renewed_before_they_end_and_tokens_stay() -> None:
    first = planned({}, "ml", NOW)
    later = planned(first, "ml", NOW + certificates.VALID - certificates.RENEWAL)
    assert later[names.AUTHORITY] == first[names.AUTHORITY]
    assert later[names.OPERATOR_SECRETS] == first[names.OPERATOR_SECRETS]
    assert later[names.OPERATOR_TLS][CERTIFICATE] != first[names.OPERATOR_TLS][CERTIFICATE]
    assert certificate_digests(later) != certificate_digests(first)


def test_an_authority_that_is_renewed_renews_its_certificates() -> None:
    first = planned({}, "ml", NOW)
    then = NOW + certificates.AUTHORITY_VALID - certificates.AUTHORITY_RENEWAL
    fresh = {**first, **{n: planned(first, "ml", then)[n] for n in (names.OPERATOR_TLS, names.GATEWAY_TLS)}}
    later = planned(fresh, "ml", then)
    assert later[names.AUTHORITY] != first[names.AUTHORITY]
    for name in (names.OPERATOR_TLS, names.GATEWAY_TLS):
        assert later[name][CA] == later[names.AUTHORITY][CERTIFICATE]
        assert later[name][CERTIFICATE] != fresh[name][CERTIFICATE]


@pytest.mark.parametrize(
    "damage", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
@pytest.mark.parametrize("name", [names.AUTHORITY, names.OPERATOR_TLS])
@pytest.mark.parametrize("key", [CERTIFICATE, KEY])
def test_damaged_certificates_are_replaced(damage: str, name: str, key: str) -> None:
    first = planned({}, "ml", NOW)
    later = planned({**first, name: {**first[name], key: damage}}, "ml", NOW)
    assert later[name][key] not in (damage, "")
    assert planned(later, "ml", NOW) == later


def test_a_certificate_of_another_namespace_is_replaced() -> None:
    first = planned({}, "ml", NOW)
    assert planned(first, "other", NOW)[names.OPERATOR_TLS] != first[names.OPERATOR_TLS]


def test_data_survives_its_manifest() -> None:
    data = planned({}, "ml", NOW)
    stored = manifests(Installation("ml"), data)
    assert {secret["metadata"]["name"]: decoded(secret) for secret in stored} == data
    assert decoded({"data": {"token": "%%%", "key": "/w=="}}) == {}
    assert decoded({"data": None}) == {}


async def test_operator_and_gateway_prove_themselves_to_each_other(tmp_path: Path) -> None:
    data = planned({}, "ml", datetime.now(UTC))
    server = context(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), data[names.OPERATOR_TLS], tmp_path)
    client = context(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), data[names.GATEWAY_TLS], tmp_path)
    assert await greeting(server, client, "gyrus-operator.ml.svc") == b"hello"
    with pytest.raises(ssl.SSLError):
        await greeting(server, client, "gyrus-operator.other.svc")
    stranger = Authority().client("gyrus-gateway")
    stranger.load_verify_locations(cadata=data[names.OPERATOR_TLS][CA])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await greeting(server, stranger, "gyrus-operator.ml.svc")


def context(made: ssl.SSLContext, data: Mapping[str, str], folder: Path) -> ssl.SSLContext:
    for name in (CERTIFICATE, KEY):
        (folder / name).write_text(data[name])
    made.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    made.load_verify_locations(cadata=data[CA])
    made.verify_mode = ssl.CERT_REQUIRED
    return made


async def greeting(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bytes:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    listening = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        try:
            received = await reader.read()
            if not received:
                raise ConnectionError("the server refused the certificate")
            return received
        finally:
            writer.close()
