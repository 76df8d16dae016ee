"""The words of the API server about objects that it refuses, in plain words."""

from __future__ import annotations

import pytest

from gyrus.kubernetes.refusals import is_quota, why_refused


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            'pods "iris-1-a" is forbidden: exceeded quota: small, requested: requests.memory=512Mi, '
            "used: requests.memory=768Mi, limited: requests.memory=1Gi",
            "the quota small allows 1Gi of requests.memory; 768Mi are in use, and this needs 512Mi more",
        ),
        (
            'pods "iris-1-a" is forbidden: exceeded quota: small, requested: pods=1,requests.cpu=2, '
            "used: pods=1,requests.cpu=0, limited: pods=1,requests.cpu=1",
            "the quota small allows 1 pods; 1 is in use, and this needs 1 more, and 1 of requests.cpu; 0 are "
            "in use, and this needs 2 more",
        ),
        (
            'pods "iris-1-a" is forbidden: failed quota: q: must specify limits.cpu,limits.memory',
            "the quota q demands that a pod sets limits.cpu,limits.memory",
        ),
        (
            'pods "iris-1-a" is forbidden: maximum memory usage per Container is 100Mi, but limit is 512Mi',
            "the namespace has a LimitRange: maximum memory usage per Container is 100Mi, but limit is 512Mi",
        ),
        (
            'admission webhook "policy.example.com" denied the request: images come from our registry only.',
            "the policy policy.example.com refuses it: images come from our registry only",
        ),
        (
            "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'all' denied request: "
            "images come from our registry only",
            "the policy images refuses it: images come from our registry only",
        ),
        (
            'pods "iris-1-a" is forbidden: no PriorityClass with name gyrus-replicas was found',
            "the priority class gyrus-replicas does not exist",
        ),
        (
            'pods "iris-1-a" is forbidden: unable to create new content in namespace ml because it is being '
            "terminated",
            "the namespace ml is being deleted",
        ),
        ("something else.\n", "something else"),
    ],
)
def test_the_reason(message: str, words: str) -> None:
    assert why_refused(message) == words
    assert is_quota(message) == ("exceeded quota" in message)
