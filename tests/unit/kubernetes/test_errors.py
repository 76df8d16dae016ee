"""Each answer of the cluster becomes the error that the caller decides by."""

from __future__ import annotations

import pytest

from gyrus.kubernetes import errors
from gyrus.kubernetes.errors import Forbidden, KubernetesError, TooManyRequests, error_of


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.ObjectInvalid),
        (401, "Unauthorized", errors.CredentialsRefused),
        (404, "NotFound", errors.ObjectNotFound),
        (409, "AlreadyExists", errors.AlreadyExists),
        (409, "Conflict", errors.ObjectConflict),
        (410, "Expired", errors.VersionGone),
        (410, "Gone", errors.VersionGone),
        (422, "Invalid", errors.ObjectInvalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.ServerFailure),
        (504, "Timeout", errors.ServerFailure),
        (503, None, errors.ServerFailure),
    ],
)
def test_the_class_follows_code_and_reason(
    code: int, reason: str | None, expected: type[KubernetesError]
) -> None:
    assert type(error_of(code, {"reason": reason, "message": "m"})) is expected


def test_a_missing_right_is_named() -> None:
    message = (
        'deployments.apps is forbidden: User "system:serviceaccount:gyrus:x" cannot list resource '
        '"deployments" in API group "apps" in the namespace "gyrus"'
    )
    error = error_of(403, {"reason": "Forbidden", "message": message})
    assert isinstance(error, Forbidden)
    assert (error.verb, error.resource, error.namespace) == ("list", "deployments.apps", "gyrus")
    assert str(error) == (
        "system:serviceaccount:gyrus:x may not list deployments.apps in the namespace gyrus. "
        "Grant it this right, or use other credentials"
    )


def test_a_missing_right_on_the_whole_cluster_is_named() -> None:
    message = (
        'nodes is forbidden: User "me" cannot watch resource "nodes" in API group "" at the cluster scope'
    )
    assert str(error_of(403, {"message": message})).startswith("me may not watch nodes in the cluster.")


def test_a_quota_is_no_missing_right() -> None:
    message = 'pods "a" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=1, limited: cpu=1'
    error = error_of(403, {"reason": "Forbidden", "message": message})
    assert isinstance(error, errors.ObjectRefused)
    assert str(error) == message


@pytest.mark.parametrize("code", [400, 403, 409, 422, 429, 500])
@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "policy.example.com" denied the request: no',
        "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'images' with binding 'all' denied request: no",
    ],
)
def test_a_policy_refuses_with_any_code(code: int, message: str) -> None:
    assert isinstance(error_of(code, {"message": message}), errors.ObjectRefused)


def test_a_busy_server_sets_the_time_of_the_next_try() -> None:
    error = error_of(429, {"message": "busy"}, retry_after=7)
    assert isinstance(error, TooManyRequests)
    assert error.retry_after == 7


def test_an_answer_without_a_status_is_described_by_its_code() -> None:
    assert str(error_of(502, {})) == "the server answered with code 502"
