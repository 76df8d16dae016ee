"""Service Quotas, with the quotas that gyrus asks for at the defaults of an account in use."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gyrus.cluster.aws.preflight.quotas import ALL_QUOTAS

USUAL = {
    "L-F678F1CE": 5.0,
    "L-A4707A72": 5.0,
    "L-FE5A380F": 5.0,
    "L-407747CB": 200.0,
    "L-E79EC296": 2500.0,
    "L-0EA8095F": 60.0,
    "L-0263D0A3": 5.0,
    "L-1194D53C": 100.0,
    "L-CDE20ADC": 500.0,
    "L-1216C47A": 256.0,
    "L-34B43A08": 256.0,
}
"""The others are 64: those of vCPUs of special families."""
PAGE = 8


def answer(body: bytes, values: Mapping[str, float]) -> bytes:
    """Return one page of quotas. A value below 0 stands for a quota that the service does not have."""
    asked = json.loads(body)
    first = int(asked.get("NextToken", 0))
    found = [
        {
            "ServiceCode": quota.service,
            "QuotaCode": quota.code,
            "QuotaName": quota.name,
            "Value": values.get(quota.code, USUAL.get(quota.code, 64.0)),
        }
        for quota in ALL_QUOTAS
        if quota.service == asked["ServiceCode"] and values.get(quota.code, 0) >= 0
    ]
    more = {"NextToken": str(first + PAGE)} if len(found) > first + PAGE else {}
    return json.dumps({"Quotas": found[first : first + PAGE], **more}).encode()
