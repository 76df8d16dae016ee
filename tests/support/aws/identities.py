"""Users of an emulated account that enforces IAM's policies: ``aws_account(AUTH="true")``."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from gyrus.cluster.aws.calls import AwsCalls, CallRules
from support.aws.account import REGION, AwsAccount


def user_calls(account: AwsAccount, name: str, documents: Sequence[dict[str, Any]]) -> AwsCalls:
    """Return the calls of a new user with exactly these policies."""
    client = user_clients(account, name, documents)
    return AwsCalls(REGION, clients=client, rules=CallRules(tries=2))


def user_clients(account: AwsAccount, name: str, documents: Sequence[dict[str, Any]]) -> Callable[[str], Any]:
    """Return boto3's clients of a new user with exactly these policies."""
    iam = account.client("iam")
    iam.create_user(UserName=name)
    for number, document in enumerate(documents):
        policy = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(document))
        iam.attach_user_policy(UserName=name, PolicyArn=policy["Policy"]["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    boto3: Any = import_module("boto3")  # it has no types

    def client(service: str) -> Any:
        made = boto3.client(
            service,
            endpoint_url=account.url,
            region_name=REGION,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )
        made.meta.events.register("before-sign", _encrypted)
        return made

    return client


def _encrypted(request: Any, **_: Any) -> None:
    request.headers["X-Forwarded-Proto"] = "https"
