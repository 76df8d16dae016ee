"""The certificate of the endpoints, which the user owns: each fault has one message with its remedy."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gyrus.cluster.certificates import VALID, KeyPair, issue, new_authority
from gyrus.cluster.endpoint_certificate import SOON, EndpointCertificate
from gyrus.cluster.errors import BadEndpointCertificate
from gyrus.cluster.install import Installer
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.overview import overview
from gyrus.cluster.settings import ClusterSettings
from gyrus.contract import cluster as names
from support.kubernetes_cluster import MemoryCluster

NOW = datetime(2026, 11, 28, tzinfo=UTC)
AUTHORITY = new_authority("authority", NOW)
CREATION = (
    "kubectl create secret tls models-tls --namespace ml --cert=FILE --key=FILE, or let cert-manager write it"
)


def pair(at: datetime = NOW) -> KeyPair:
    return issue(AUTHORITY, ["models.example.com"], at)


def data(certificate: str, key: str) -> dict[str, str]:
    return {"tls.crt": certificate, "tls.key": key}


REPAIR = "Run again, with the same values file: gyrus cluster install --namespace ml"
GOOD, OTHER = pair(), pair()


def put(cluster: MemoryCluster, content: Mapping[str, str]) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    metadata = {"name": "models-tls", "namespace": "ml"}
    cluster.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": encoded})


def wanted() -> Installation:
    settings: dict[str, Any] = {"gateway": {"tls": {"secret": "models-tls"}, "service": "ClusterIP"}}
    return Installation("ml", ClusterSettings.model_validate(settings))


@pytest.mark.parametrize(
    ("content", "now", "fault", "remedy"),
    [
        (None, NOW, "does not exist", "Create it: "),
        ({}, NOW, "lacks tls.crt and tls.key", "Replace it: "),
        ({"tls.crt": GOOD.certificate}, NOW, "lacks tls.key", "Replace it: "),
        (data("no PEM", GOOD.key), NOW, "has no certificate in PEM in tls.crt", "Replace it: "),
        (
            data(GOOD.certificate, OTHER.key),
            NOW,
            "has a key in tls.key that does not belong to the certificate in tls.crt",
            "Replace both: ",
        ),
        (
            data(GOOD.certificate, GOOD.key),
            NOW + VALID,
            "has a certificate that ended on 2028-11-27",
            "Renew it: ",
        ),
    ],
)
async def test_a_secret_that_cannot_be_used_is_refused_before_anything_changes(
    content: dict[str, str] | None, now: datetime, fault: str, remedy: str
) -> None:
    cluster = MemoryCluster()
    if content is not None:
        put(cluster, content)
    before = dict(cluster.objects)
    with pytest.raises(BadEndpointCertificate) as refused:
        await Installer(cluster, lambda change: None).install(wanted(), now)
    message = f"The Secret models-tls of gateway.tls {fault} in the namespace ml."
    assert (refused.value.message, refused.value.remedy) == (message, remedy + CREATION)
    assert cluster.objects == before


async def test_health_reports_the_certificate_of_an_installation() -> None:
    cluster = MemoryCluster()
    put(cluster, {**data(GOOD.certificate, GOOD.key), "ca.crt": AUTHORITY.certificate})
    await Installer(cluster, lambda change: None).install(wanted(), NOW)
    found = await overview(cluster, "ml")
    assert found.credentials
    assert found.credentials.endpoint_authority == AUTHORITY.certificate
    assert found.problems(NOW) == []
    put(cluster, data(GOOD.certificate, OTHER.key))
    [problem] = (await overview(cluster, "ml")).problems(NOW)
    assert "does not belong to the certificate" in problem.message
    del cluster.objects["Secret", "ml", "models-tls"]
    [problem] = (await overview(cluster, "ml")).problems(NOW)
    assert problem.message == "The Secret models-tls of gateway.tls does not exist in the namespace ml"


def test_an_end_that_is_near_is_a_warning() -> None:
    content = data(GOOD.certificate, GOOD.key)
    certificate = EndpointCertificate(secret="models-tls", namespace="ml", data=content)
    end = NOW + VALID
    assert certificate.warnings(end - SOON - timedelta(days=1)) == []
    assert certificate.warnings(end - SOON) == [
        "The certificate of gateway.tls ends on 2028-11-27. Renew the Secret models-tls."
    ]


async def test_health_reports_own_certificates_that_the_operator_did_not_renew() -> None:
    cluster = MemoryCluster()
    known = Installation("ml", ClusterSettings.model_validate({"gateway": {"service": "ClusterIP"}}))
    await Installer(cluster, lambda change: None).install(known, NOW)
    found = await overview(cluster, "ml")
    assert found.warnings(NOW + timedelta(days=500)) == []
    assert found.warnings(NOW + timedelta(days=600)) == [
        f"The certificate of the Secret {name} ends on 2028-11-27, and the operator has not renewed it. "
        f"{REPAIR}"
        for name in (names.OPERATOR_TLS, names.GATEWAY_TLS)
    ]
    ended = NOW + VALID
    assert found.warnings(ended) == []
    assert [str(problem.message) for problem in found.problems(ended)] == [
        "the certificate of the Secret gyrus-operator-tls ended on 2028-11-27",
        "the certificate of the Secret gyrus-gateway-tls ended on 2028-11-27",
    ]
    assert {problem.remedy for problem in found.problems(ended)} == {REPAIR}
