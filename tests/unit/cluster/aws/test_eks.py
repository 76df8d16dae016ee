import base64
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from gyrus.cluster.aws.calls import AwsCalls
from gyrus.cluster.aws.eks import bearer_token, execution_credential


class Signing(AwsCalls):
    """Calls that reach no service: a signature is made without AWS."""

    async def call(self, service: str, operation: str, /, **arguments: object) -> dict[str, object]:
        return {}


async def test_a_token_is_a_signed_call_that_names_the_cluster(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_STS_REGIONAL_ENDPOINTS", "regional")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    token = await bearer_token(Signing("eu-west-1"), "vision")
    prefix, _, encoded = token.partition(".")
    assert prefix == "k8s-aws-v1"
    url = urlsplit(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode())
    query = parse_qs(url.query)
    assert url.hostname == "sts.eu-west-1.amazonaws.com"
    assert query["Action"] == ["GetCallerIdentity"]
    assert query["X-Amz-SignedHeaders"] == ["host;x-k8s-aws-id"]
    assert query["X-Amz-Expires"] == ["60"]
    assert query["X-Amz-Credential"][0].startswith("AKIDEXAMPLE/")
    assert await bearer_token(Signing("eu-west-1"), "other") != token


def test_a_credential_ends_a_minute_before_its_token():
    at = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
    assert execution_credential("t", at) == {
        "kind": "ExecCredential",
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "spec": {},
        "status": {"expirationTimestamp": "2026-11-28T12:14:00Z", "token": "t"},
    }
