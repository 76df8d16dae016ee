"""The EKS cluster: its address, and tokens with which the AWS identity of the caller reaches it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound

TOKEN_PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
SIGNED_FOR = 60
"""Seconds for which the signature is valid. EKS allows at most 15 minutes."""
USED_FOR = timedelta(minutes=14)
"""EKS accepts a token for 15 minutes after its signature."""
EXECUTION_VERSION = "client.authentication.k8s.io/v1beta1"


class AwsSigner(AwsCaller, Protocol):
    """Calls AWS, and gives clients to sign with."""

    async def client(self, service: str) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EksCluster:
    """A cluster as EKS describes it."""

    name: str
    region: str
    status: str
    version: str
    endpoint: str
    authority: str
    """The authority of its certificate: PEM in base64, as in a kubeconfig."""
    tags: Mapping[str, str]


async def find_cluster(aws: AwsCaller, name: str, region: str) -> EksCluster | None:
    """Return a cluster; None if there is none. Raises AwsError."""
    try:
        answer = await aws.call("eks", "describe_cluster", name=name)
    except AwsNotFound:
        return None
    found: Answer = answer["cluster"]
    return EksCluster(
        name=name,
        region=region,
        status=found["status"],
        version=found.get("version", ""),
        endpoint=found.get("endpoint", ""),
        authority=found.get("certificateAuthority", {}).get("data", ""),
        tags=found.get("tags", {}),
    )


async def bearer_token(aws: AwsSigner, cluster: str) -> str:
    """Return a token for a cluster's API: a signed call of STS, which the cluster carries out.

    The format is that of https://github.com/kubernetes-sigs/aws-iam-authenticator. Raises AwsError.
    """
    # A signature needs credentials that work; this call reports what is wrong with them.
    await aws.call("sts", "get_caller_identity")
    client = await aws.client("sts")
    events = client.meta.events

    def keep(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[CLUSTER_HEADER] = params.pop("ClusterName", None)

    def add(request: Any, **_: Any) -> None:
        if name := request.context.get(CLUSTER_HEADER):
            request.headers[CLUSTER_HEADER] = name

    events.register("provide-client-params.sts.GetCallerIdentity", keep, unique_id="gyrus-cluster-params")
    events.register("before-sign.sts.GetCallerIdentity", add, unique_id="gyrus-cluster-sign")
    url: str = client.generate_presigned_url(
        "get_caller_identity", Params={"ClusterName": cluster}, ExpiresIn=SIGNED_FOR, HttpMethod="GET"
    )
    return TOKEN_PREFIX + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def execution_credential(token: str, now: datetime) -> dict[str, Any]:
    """Return a token as a program of a kubeconfig prints it."""
    until = (now + USED_FOR).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": "ExecCredential",
        "apiVersion": EXECUTION_VERSION,
        "spec": {},
        "status": {"expirationTimestamp": until, "token": token},
    }
