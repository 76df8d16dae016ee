"""The renewal of certificates by the operator that leads."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import pytest

from gyrus.aio.virtual import VirtualClock
from gyrus.cluster import secrets
from gyrus.cluster.certificates import CLOCK_SKEW, RENEWAL, VALID
from gyrus.cluster.manifests.objects import Installation
from gyrus.contract import cluster as names
from gyrus.kubernetes.errors import KubernetesError, ObjectConflict
from gyrus.kubernetes.resources import SECRETS, Manifest, ResourceKind, name_of, version_of
from gyrus.operator.certificate_renewal import EVERY, CertificateRenewal
from support.kubernetes_cluster import MemoryCluster


class Versioned(MemoryCluster):
    """A cluster that refuses a change of an object that has changed since it was read."""

    silent = False

    async def find(self, resource: ResourceKind, name: str, namespace: str | None = None) -> Manifest | None:
        if self.silent:
            raise KubernetesError("no answer")
        return await super().find(resource, name, namespace)

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest:
        before = await self.find(SECRETS, name_of(manifest), "ml")
        assert before is not None, "the operator may not create Secrets"
        if version_of(manifest) != version_of(before):
            raise ObjectConflict("the object has been modified")
        return await super().apply(manifest, force=force, dry_run=dry_run)


def installed(now: datetime) -> Versioned:
    cluster = Versioned()
    for manifest in secrets.manifests(Installation("ml"), secrets.planned({}, "ml", now)):
        cluster.put(manifest)
    return cluster


async def data_of(cluster: MemoryCluster) -> dict[str, secrets.SecretData]:
    return await secrets.present(cluster, "ml")


async def test_what_is_not_due_stays() -> None:
    clock = VirtualClock()
    cluster = installed(clock.now())
    assert await CertificateRenewal(cluster, "ml", clock).renew() == []


async def test_certificates_are_renewed_when_they_are_due() -> None:
    clock = VirtualClock()
    cluster = installed(clock.now() - VALID + timedelta(days=30))
    before = await data_of(cluster)
    assert await CertificateRenewal(cluster, "ml", clock).renew() == [names.OPERATOR_TLS, names.GATEWAY_TLS]
    after = await data_of(cluster)
    assert after[names.OPERATOR_SECRETS] == before[names.OPERATOR_SECRETS]
    assert after[names.AUTHORITY][secrets.KEY] == before[names.AUTHORITY][secrets.KEY]
    assert after[names.OPERATOR_TLS][secrets.CERTIFICATE] != before[names.OPERATOR_TLS][secrets.CERTIFICATE]
    assert await CertificateRenewal(cluster, "ml", clock).renew() == []


async def test_a_change_since_the_look_is_not_overwritten() -> None:
    clock = VirtualClock()
    cluster = installed(clock.now() - VALID + timedelta(days=30))

    class Changing(Versioned):
        """A cluster in which another writer is between the look and the change."""

        async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest:
            stored = await self.find(SECRETS, name_of(manifest), "ml")
            assert stored
            self.put(stored)
            return await super().apply(manifest, force=force, dry_run=dry_run)

    with pytest.raises(ObjectConflict):
        await CertificateRenewal(Changing(objects=cluster.objects), "ml", clock).renew()


async def test_missing_secrets_are_left_to_the_installation() -> None:
    clock = VirtualClock()
    cluster = installed(clock.now() - VALID)
    del cluster.objects["Secret", "ml", names.AUTHORITY]
    assert await CertificateRenewal(cluster, "ml", clock).renew() == []


async def test_it_looks_again_and_again_and_reports_a_failure_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    age = VALID - (VALID + CLOCK_SKEW) * RENEWAL
    cluster = installed(clock.now() - age + timedelta(seconds=5 * EVERY))
    before = await data_of(cluster)
    with caplog.at_level(logging.WARNING):
        async with asyncio.TaskGroup() as group:
            running = group.create_task(CertificateRenewal(cluster, "ml", clock).run(), name="renewal")
            await clock.settle()
            assert await data_of(cluster) == before
            cluster.silent = True
            await clock.advance(3 * EVERY)
            cluster.silent = False
            await clock.advance(3 * EVERY)
            running.cancel()
    assert await data_of(cluster) != before
    assert [record.message for record in caplog.records] == ["Certificates cannot be renewed now: no answer"]
