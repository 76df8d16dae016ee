"""The cluster.yaml that a cluster was last brought to, kept in its bucket."""

from __future__ import annotations

import asyncio

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_file import FILE, parse_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.errors import AwsNotFound
from gyrus.spec.faults import SpecError

FOLDER = "cluster"
KEY = f"{FOLDER}/{FILE}"


async def record(aws: AwsCaller, bucket: str, text: str) -> None:
    """Keep the text of a cluster.yaml. Raises AwsError."""
    await aws.call("s3", "put_object", Bucket=bucket, Key=KEY, Body=text.encode())


async def recorded(aws: AwsCaller, bucket: str) -> ClusterSpec | None:
    """Return the cluster as it was last brought to. None if that is not known. Raises AwsError."""
    try:
        answer = await aws.call("s3", "get_object", Bucket=bucket, Key=KEY)
        body = await asyncio.to_thread(answer["Body"].read)
        return parse_cluster(body.decode(), KEY)
    except (AwsNotFound, SpecError, UnicodeDecodeError, OSError):
        return None
