"""The errors of this package, beside those of the client of Kubernetes.

ClusterError
├── ClusterTooOld       the cluster's version of Kubernetes is not supported
├── MissingRights       the credentials may not install; names each verb and resource
├── MissingDefinition   a setting asks for a kind of objects that the cluster does not have
├── FieldConflict       another manager owns a field of an object
├── ObjectNotAccepted   the cluster refuses an object: a quota, a policy, a setting that it cannot have
├── MissingStore        the Secret of the operators' database does not exist, or lacks its key
├── BadEndpointCertificate   the Secret of the endpoints' certificate does not exist, or cannot be used
├── ManagedByHelm       Helm has installed gyrus in the namespace, so that only Helm may change it
├── NotInstalled        the namespace has no installation
└── NotHealthy          operator or gateways did not become ready in time, or cannot
"""

from __future__ import annotations

from collections.abc import Sequence


class ClusterError(Exception):
    """Base of the errors. ``details`` are lines to show unchanged, ``remedy`` states what to do."""

    def __init__(self, message: str, *, details: Sequence[str] = (), remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        self.remedy = remedy


class ClusterTooOld(ClusterError):
    pass


class MissingRights(ClusterError):
    pass


class MissingDefinition(ClusterError):
    pass


class FieldConflict(ClusterError):
    pass


class ObjectNotAccepted(ClusterError):
    pass


class MissingStore(ClusterError):
    pass


class BadEndpointCertificate(ClusterError):
    pass


class ManagedByHelm(ClusterError):
    pass


class NotInstalled(ClusterError):
    pass


class NotHealthy(ClusterError):
    pass
