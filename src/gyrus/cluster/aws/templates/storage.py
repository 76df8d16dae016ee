"""The cluster's data: its bucket and its log group. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.policies.statement import VERSION
from gyrus.cluster.aws.regions import partition_of
from gyrus.cluster.aws.resource_names import bucket_name, cluster_tags, log_group
from gyrus.cluster.aws.templates.account_facts import DataState
from gyrus.cluster.aws.templates.document import ACCOUNT, StackResource, resource, substituted, tag_list
from gyrus.contract.cluster import GROUP

BUCKET = "Bucket"
BUCKET_POLICY = "BucketPolicy"
LOGS = "LogGroup"
RETENTION = 30
"""Days for which logs are kept."""
UPLOADS_END = 3
"""Days after which an upload in parts that nobody finished is removed: its parts cost money."""  # plain: ok
EXPIRING = {"results/": 30, "logs/": 30}
"""Days for which objects are kept, by the prefixes of their names."""
KEPT_TAG = f"{GROUP}/kept"
"""Tag of data that outlives its cluster. CloudFormation takes over a deletion policy only with a change of
the resource itself, and this tag is that change."""


def storage(spec: ClusterSpec, data: DataState) -> dict[str, StackResource]:
    """Return the bucket with its policy, and the log group. Nothing if an earlier cluster left them."""
    if data is DataState.FOUND:
        return {}
    tags = {**cluster_tags(spec), **({KEPT_TAG: "true"} if data is DataState.KEPT else {})}
    policy = "Retain" if data is DataState.KEPT else "Delete"
    fate = {"DeletionPolicy": policy, "UpdateReplacePolicy": "Retain"}
    found = {
        BUCKET: resource("S3::Bucket", _bucket(spec, tags), **fate),
        BUCKET_POLICY: resource("S3::BucketPolicy", _bucket_policy(spec), DependsOn=BUCKET, **fate),
    }
    if spec.cloudwatch:
        group = {
            "LogGroupName": log_group(spec.cluster_name),
            "RetentionInDays": RETENTION,
            "Tags": tag_list(tags),
        }
        found[LOGS] = resource("Logs::LogGroup", group, **fate)
    return found


def keeping_data(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a base stack's template with the data left behind when the stack is deleted."""
    resources: dict[str, StackResource] = dict(template["Resources"])
    kept = {"Key": KEPT_TAG, "Value": "true"}
    for name in (BUCKET, BUCKET_POLICY, LOGS):
        if found := resources.get(name):
            properties: dict[str, Any] = dict(found["Properties"])
            if "Tags" in properties and kept not in properties["Tags"]:
                properties["Tags"] = [*properties["Tags"], kept]
            resources[name] = {**found, "Properties": properties, "DeletionPolicy": "Retain"}
    return {**template, "Resources": resources}


def _bucket(spec: ClusterSpec, tags: dict[str, str]) -> dict[str, Any]:
    blocked = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    by_key = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    return {
        "BucketName": substituted(bucket_name(spec, ACCOUNT)),
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [by_key]},
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "PublicAccessBlockConfiguration": dict.fromkeys(blocked, True),
        "LifecycleConfiguration": {"Rules": [_unfinished_uploads(), *_expirations()]},
        "Tags": tag_list(tags),
    }


def _unfinished_uploads() -> dict[str, Any]:
    return {
        "Id": "unfinished-uploads",
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOADS_END},
    }


def _expirations() -> list[dict[str, Any]]:
    return [
        {"Id": prefix.strip("/"), "Status": "Enabled", "Prefix": prefix, "ExpirationInDays": days}
        for prefix, days in EXPIRING.items()
    ]


def _bucket_policy(spec: ClusterSpec) -> dict[str, Any]:
    arn = f"arn:{partition_of(spec.region)}:s3:::{bucket_name(spec, ACCOUNT)}"
    statement = {
        "Sid": "EncryptedConnectionsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    document = {"Version": VERSION, "Statement": [statement]}
    return substituted({"Bucket": bucket_name(spec, ACCOUNT), "PolicyDocument": document})
