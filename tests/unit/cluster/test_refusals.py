"""What to do about an object of an installation that the cluster refuses."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gyrus.cluster.errors import ObjectNotAccepted
from gyrus.cluster.install import Installer
from gyrus.cluster.manifests.objects import Installation
from gyrus.cluster.refusals import pods_remedy
from gyrus.cluster.settings import ClusterSettings
from gyrus.kubernetes.errors import KubernetesError, ObjectInvalid, ObjectRefused
from gyrus.kubernetes.resources import Manifest, name_of
from support.kubernetes_cluster import MemoryCluster

NODE_PORTS = {"gateway": {"service": "NodePort", "node_port": 30080}}
OUT_OF_PORTS = (
    'services "gyrus-gateway" is forbidden: exceeded quota: q, requested: services.nodeports=1, '
    "used: services.nodeports=0, limited: services.nodeports=0"
)
QUOTA = 'pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0'
RANGE = 'pods "gyrus-operator-x" is forbidden: maximum memory usage per Container is 1Mi, but limit is 512Mi'


class Refusing(MemoryCluster):
    """Refuses one object."""

    def __init__(self, name: str, error: KubernetesError) -> None:
        super().__init__()
        self._refused = name, error

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest:
        name, error = self._refused
        if name_of(manifest) == name:
            raise error
        return await super().apply(manifest, force=force, dry_run=dry_run)


@pytest.mark.parametrize(
    ("name", "error", "message", "remedy"),
    [
        (
            "gyrus-gateway",
            ObjectInvalid(
                'Service "gyrus-gateway" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided '
                "port is already allocated"
            ),
            "Service gyrus-gateway: another Service has the node port 30080.",
            "Choose another gateway.node_port in the values file, or leave it out for a free one.",
        ),
        (
            "gyrus-gateway",
            ObjectRefused(OUT_OF_PORTS),
            "Service gyrus-gateway: the quota q allows 0 node ports; 0 are in use, and this needs 1 more.",
            "Raise the quota: kubectl describe quota --namespace ml",
        ),
        (
            "gyrus-operator-data",
            ObjectInvalid(
                'PersistentVolumeClaim "gyrus-operator-data" is invalid: spec: Forbidden: is immutable after '
                "creation except resources.requests for bound claims"
            ),
            "PersistentVolumeClaim gyrus-operator-data: a volume keeps its class, and its size only grows.",
            "Put operator.storage and operator.storage_class in the values file back to what they were. For "
            "another volume, which begins empty: gyrus cluster uninstall, then gyrus cluster install",
        ),
        (
            "gyrus-operator-secrets",
            ObjectRefused(
                'secrets "gyrus-operator-secrets" is forbidden: unable to create new content in namespace ml '
                "because it is being terminated"
            ),
            "Secret gyrus-operator-secrets: the namespace ml is being deleted.",
            "Wait until it is gone, and run the command again: kubectl wait --for=delete namespace/ml "
            "--timeout=5m",
        ),
        (
            "gyrus-operator",
            ObjectRefused('admission webhook "policy.example.com" denied the request: no team label'),
            "Service gyrus-operator: the policy policy.example.com refuses it: no team label.",
            "Correct the values file, or ask the administrator of the cluster.",
        ),
    ],
)
async def test_an_object_that_is_refused(
    name: str, error: KubernetesError, message: str, remedy: str
) -> None:
    known = Installation("ml", ClusterSettings.model_validate(NODE_PORTS))
    with pytest.raises(ObjectNotAccepted) as refused:
        await Installer(Refusing(name, error), lambda change: None).install(
            known, datetime(2026, 11, 28, tzinfo=UTC)
        )
    assert refused.value.message == f"The cluster does not accept {message}"
    assert refused.value.remedy == remedy


@pytest.mark.parametrize(
    ("message", "deployment", "remedy"),
    [
        (
            QUOTA,
            "gyrus-operator",
            "Raise the quota (kubectl describe quota --namespace ml), or lower operator.resources.",
        ),
        (
            QUOTA,
            "gyrus-gateway",
            "Raise the quota (kubectl describe quota --namespace ml), or lower gateway.resources or "
            "gateway.replicas.",
        ),
        (
            RANGE,
            "gyrus-operator",
            "Change the LimitRange (kubectl describe limits --namespace ml), or operator.resources.",
        ),
        ("no PriorityClass with name p was found", "gyrus-operator", "Create it with: gyrus cluster install"),
        ("something else", "gyrus-operator", ""),
    ],
)
def test_pods_that_are_refused(message: str, deployment: str, remedy: str) -> None:
    assert pods_remedy(message, deployment, "ml") == remedy
