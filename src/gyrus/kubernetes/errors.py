"""The errors of the client. Each class is one decision of the caller.

KubernetesError
├── NoConfiguration     no cluster is configured: the user has to name one
├── NoCredentials       the kubeconfig's user has no credentials: its program or its file fails
├── UnprovenCluster     the server has another certificate than the kubeconfig demands; it got nothing
├── Unreachable         no answer: the request may have been carried out
├── ServerFailure       the server failed (5xx): the request may have been carried out
├── TooManyRequests     the server is busy: try again after ``retry_after`` seconds
├── CredentialsRefused        the credentials are not valid
├── Forbidden           the credentials lack a right: ``verb`` on ``resource``
├── ObjectRefused             a quota or an admission policy refuses the object
├── ObjectInvalid             the server does not understand the request, or a field is wrong
├── ObjectNotFound            the object, or its kind, does not exist
├── ObjectConflict            the object has another version, or another owner of a field
│   └── AlreadyExists   an object of this name exists
└── VersionGone                the resource version is too old: list again
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_POLICY = re.compile(
    r"admission webhook \"[^\"]+\" denied the request"
    r"|ValidatingAdmissionPolicy '[^']+' with binding '[^']+' denied request"
)
_LACKS_RIGHT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" '
    r'in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)


class KubernetesError(Exception):
    """Base of the client's errors. The message is for the user."""


class NoConfiguration(KubernetesError):
    pass


class NoCredentials(KubernetesError):
    """A kubeconfig's user whose program or file yields no credentials."""

    def __init__(self, context: str, cause: str) -> None:
        super().__init__(f"The user of the context {context} has no credentials: {cause}")


class UnprovenCluster(KubernetesError):
    """A server that did not prove that it is the cluster."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(
            f"The server at {address} did not prove that it is the cluster: {cause}. Nothing was sent to it. "
            "Check certificate-authority-data of the cluster in the kubeconfig, and its address"
        )


class Unreachable(KubernetesError):
    """A cluster that does not answer."""

    def __init__(self, address: str, cause: str) -> None:
        super().__init__(
            f"The cluster at {address} does not answer: {cause}. "
            "Check that it runs, and that the kubeconfig names its address"
        )
        self.address = address
        self.cause = cause


class ServerFailure(KubernetesError):
    pass


class TooManyRequests(KubernetesError):
    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        """Seconds."""


class CredentialsRefused(KubernetesError):
    pass


class Forbidden(KubernetesError):
    """A missing right."""

    def __init__(self, *, user: str, verb: str, resource: str, namespace: str | None) -> None:
        where = f"in the namespace {namespace}" if namespace else "in the cluster"
        self.missing = f"{user} may not {verb} {resource} {where}"
        super().__init__(f"{self.missing}. Grant it this right, or use other credentials")
        self.user = user
        self.verb = verb
        self.resource = resource
        """``pods``, or with a group: ``deployments.apps``."""
        self.namespace = namespace


class ObjectRefused(KubernetesError):
    pass


class ObjectInvalid(KubernetesError):
    pass


class ObjectNotFound(KubernetesError):
    pass


class ObjectConflict(KubernetesError):
    pass


class AlreadyExists(ObjectConflict):
    pass


class VersionGone(KubernetesError):
    pass


def error_of(code: int, status: Mapping[str, Any], *, retry_after: float = 1.0) -> KubernetesError:
    """Return the error for a response with this code and ``Status``, which may be empty."""
    message = str(status.get("message") or f"the server answered with code {code}")
    if _POLICY.search(message):
        return ObjectRefused(message)  # with any code that the policy has chosen: 400 if it has chosen none
    match code, status.get("reason"):
        case 401, _:
            return CredentialsRefused(
                f"The cluster does not accept the credentials ({message}). "
                "Renew them, or choose another context of the kubeconfig"
            )
        case 403, _:
            return _forbidden(message)
        case 404, _:
            return ObjectNotFound(message)
        case 409, "AlreadyExists":
            return AlreadyExists(message)
        case 409, _:
            return ObjectConflict(message)
        case (410, _) | (_, "Expired" | "Gone"):
            return VersionGone(message)
        case 429, _:
            return TooManyRequests(message, retry_after)
        case _ if code >= 500:
            return ServerFailure(message)
        case _:
            return ObjectInvalid(message)


def _forbidden(message: str) -> KubernetesError:
    lacks = _LACKS_RIGHT.search(message)
    if lacks is None:  # a right is there, but a quota or an admission policy is against it
        return ObjectRefused(message)
    group = lacks["group"]
    return Forbidden(
        user=lacks["user"],
        verb=lacks["verb"],
        resource=f"{lacks['resource']}.{group}" if group else lacks["resource"],
        namespace=lacks["namespace"],
    )
