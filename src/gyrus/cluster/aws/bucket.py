"""The bucket of a cluster, at its end: emptied, since CloudFormation deletes only empty ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound, BucketNotEmptied

S3 = "s3"
SHOWN = 10
"""Objects that an error names."""
AT_ONCE = 1000
"""Objects that one call can list and delete."""


async def empty_bucket(aws: AwsCaller, bucket: str, report: Callable[[int], None]) -> None:
    """Delete all objects of a bucket with all their versions, and unfinished uploads.

    ``report`` gets the number of deleted objects now and then. Raises AwsError.
    """
    total = 0
    try:
        while objects := await _some(aws, bucket):
            answer = await aws.call(
                S3, "delete_objects", Bucket=bucket, Delete={"Objects": objects, "Quiet": True}
            )
            failed: list[Answer] = answer.get("Errors", [])
            if failed:
                lines = [
                    f"{one.get('Key', '')}: {one.get('Message') or one.get('Code', '')}" for one in failed
                ]
                raise BucketNotEmptied(bucket, lines[:SHOWN])
            total += len(objects)
            report(total)
        await _end_uploads(aws, bucket)
    except AwsNotFound:
        pass


async def bucket_exists(aws: AwsCaller, bucket: str) -> bool:
    """Return True if a bucket of the account exists. Raises AwsError."""
    try:
        await aws.call(S3, "head_bucket", Bucket=bucket)
    except AwsNotFound:
        return False
    return True


async def _some(aws: AwsCaller, bucket: str) -> list[dict[str, str]]:
    """Return objects and marks of deletion that are left, at most a thousand."""
    answer = await aws.call(S3, "list_object_versions", Bucket=bucket, MaxKeys=AT_ONCE)
    entries: list[Answer] = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
    return [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]


async def _end_uploads(aws: AwsCaller, bucket: str) -> None:
    answer = await aws.call(S3, "list_multipart_uploads", Bucket=bucket)
    uploads: Sequence[Any] = answer.get("Uploads", [])
    async with asyncio.TaskGroup() as tasks:
        for upload in uploads:
            call = aws.call(
                S3, "abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )
            tasks.create_task(call, name=f"end the upload of {upload['Key']}")
