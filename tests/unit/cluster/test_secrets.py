"""The Secrets of an installation: created once, kept, renewed before they end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrus.cluster import certificates
from gyrus.cluster.certificates import KeyPair
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.secrets import (
    CA,
    CERTIFICATE,
    KEY,
    NEXT_CERTIFICATE,
    certified,
    decoded,
    manifests,
    planned,
)
from gyrus.contract import cluster as names
from support.tls import Authority

NOW = datetime(2026, 11, 28, tzinfo=UTC)
HALF = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


AUTHORITY_LIFE = certificates.AUTHORITY_VALID + certificates.CLOCK_SKEW
RENEWED_FROM = (
    NOW + certificates.VALID - (certificates.VALID + certificates.CLOCK_SKEW) * certificates.RENEWAL
)
SUCCESSOR_FROM = NOW + certificates.AUTHORITY_VALID - AUTHORITY_LIFE * certificates.RENEWAL
TLS = (names.OPERATOR_TLS, names.GATEWAY_TLS)
SECOND = timedelta(seconds=1)
IN_TIME = 240
"""Days between two looks, within which each certificate is renewed before it ends."""


def test_a_second_plan_keeps_everything() -> None:
    first = planned({}, "ml", NOW)
    assert planned(first, "ml", RENEWED_FROM - SECOND) == first


def test_certificates_are_renewed_before_they_end_and_tokens_stay() -> None:
    first = planned({}, "ml", NOW)
    later = planned(first, "ml", RENEWED_FROM)
    assert later[names.AUTHORITY] == first[names.AUTHORITY]
    assert later[names.OPERATOR_SECRETS] == first[names.OPERATOR_SECRETS]
    for name in TLS:
        assert later[name][CERTIFICATE] != first[name][CERTIFICATE]
    assert planned(later, "ml", RENEWED_FROM) == later


def test_an_authority_is_replaced_with_an_overlap() -> None:
    first = planned({}, "ml", SUCCESSOR_FROM - certificates.VALID / 2)
    authority = planned({}, "ml", NOW)[names.AUTHORITY]
    before = certified({**first, names.AUTHORITY: authority}, "ml", SUCCESSOR_FROM - SECOND)
    assert before[names.AUTHORITY][CERTIFICATE] == authority[CERTIFICATE]

    prepared = certified(before, "ml", SUCCESSOR_FROM)
    successor = prepared[names.AUTHORITY][NEXT_CERTIFICATE]
    assert prepared[names.AUTHORITY][CERTIFICATE] == authority[CERTIFICATE]
    for name in TLS:
        assert prepared[name][CERTIFICATE] == before[name][CERTIFICATE]
        assert prepared[name][CA] == authority[CERTIFICATE] + successor

    switch = SUCCESSOR_FROM + AUTHORITY_LIFE * certificates.OVERLAP
    assert certified(prepared, "ml", switch - SECOND)[names.AUTHORITY] == prepared[names.AUTHORITY]
    switched = certified(prepared, "ml", switch)
    assert switched[names.AUTHORITY][CERTIFICATE] == successor
    assert NEXT_CERTIFICATE not in switched[names.AUTHORITY]
    for name in TLS:
        assert switched[name][CA] == successor + authority[CERTIFICATE]

    ended = certified(switched, "ml", NOW + certificates.AUTHORITY_VALID)
    for name in TLS:
        assert ended[name][CA] == successor


def test_an_authority_whose_operator_was_away_is_replaced_at_once() -> None:
    first = planned({}, "ml", NOW)
    late = certified(first, "ml", NOW + certificates.AUTHORITY_VALID)
    assert late[names.AUTHORITY][CERTIFICATE] != first[names.AUTHORITY][CERTIFICATE]
    assert late[names.OPERATOR_TLS][CA] == late[names.AUTHORITY][CERTIFICATE]


@given(st.lists(st.integers(min_value=1, max_value=IN_TIME), min_size=1, max_size=60))
@settings(max_examples=30, deadline=None)
def test_what_is_renewed_in_time_is_always_trusted_by_what_was_before(days: list[int]) -> None:
    """Each part may have the data of the last step or of this one, and all must accept each other."""
    now, data = NOW, certified({}, "ml", NOW)
    for step in days:
        now += timedelta(days=step)
        later = certified(data, "ml", now)
        for name in TLS:
            pair = KeyPair(later[name][CERTIFICATE], later[name][KEY])
            for bundle in (data[name][CA], later[name][CA]):
                assert is_issued(pair, bundle)
            assert is_issued(KeyPair(data[name][CERTIFICATE], data[name][KEY]), later[name][CA])
        data = later


def is_issued(pair: KeyPair, bundle: str) -> bool:
    """Return whether an authority of the bundle has issued the certificate, at whatever time."""
    return certificates.is_usable(pair, certificates.in_bundle(bundle, NOW - timedelta(days=1)), [], NOW)


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
