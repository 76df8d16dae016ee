"""Reads the facts of an account: all calls at the same time. Nothing is created or changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.errors import (
    AwsCredentialsRefused,
    AwsDenied,
    AwsError,
    AwsRejected,
    AwsUnreachable,
    NoAwsCredentials,
)
from gyrus.cluster.aws.preflight import account_readings, own_readings, usage_readings
from gyrus.cluster.aws.preflight.facts import CallerIdentity, InUse, ObservedAccount, RegionState
from gyrus.cluster.aws.preflight.problem import PreflightNote
from gyrus.cluster.aws.preflight.quotas import ALL_QUOTAS, quotas_of
from gyrus.cluster.aws.resource_names import bucket_name

T = TypeVar("T")


async def observe(aws: AwsCaller, spec: ClusterSpec, *, home: AwsCaller | None = None) -> ObservedAccount:
    """Return the facts of an account and a region for a cluster.

    ``home`` calls the region of :func:`gyrus.cluster.aws.regions.home_region`, which answers even if the
    cluster's region is not enabled; by default ``aws``. A part that the credentials may not read is noted as
    unchecked. Raises AwsError if the credentials are missing or refused, or if AWS does not answer.
    """
    try:
        identity, region, unchecked = await _identify(home or aws, spec)
        if region in ("disabled", "unknown"):
            return ObservedAccount(identity=identity, region=region, unchecked=unchecked)
        return await _observe_region(aws, spec, identity, region, unchecked)
    except BaseExceptionGroup as group:
        raise _first(group) from None


class _Reader:
    """Reads parts, and notes those that cannot be read."""

    def __init__(self) -> None:
        self.unchecked: list[PreflightNote] = []

    async def read(self, what: str, part: Awaitable[T], *, is_optional: bool = False) -> T | None:
        try:
            return await _unnested(part)
        except AwsDenied as error:
            self.unchecked.append(PreflightNote(what, f"the credentials lack {error.action}"))
        except AwsRejected as error:
            self.unchecked.append(PreflightNote(what, error.message))
        except AwsUnreachable as error:
            if not is_optional:
                raise
            self.unchecked.append(PreflightNote(what, error.message))
        return None


async def _identify(
    home: AwsCaller, spec: ClusterSpec
) -> tuple[CallerIdentity, RegionState | None, tuple[PreflightNote, ...]]:
    reader = _Reader()
    async with asyncio.TaskGroup() as group:
        identity = group.create_task(account_readings.identity(home), name="preflight: identity")
        region = group.create_task(
            reader.read("region", account_readings.region_state(home, spec.region)), name="preflight: region"
        )
    return identity.result(), region.result(), tuple(reader.unchecked)


async def _observe_region(
    aws: AwsCaller,
    spec: ClusterSpec,
    identity: CallerIdentity,
    region: RegionState | None,
    unchecked: tuple[PreflightNote, ...],
) -> ObservedAccount:
    reader, cluster = _Reader(), spec.cluster_name
    bucket = bucket_name(spec, identity.account)
    services = tuple(dict.fromkeys(quota.service for quota in ALL_QUOTAS))
    async with asyncio.TaskGroup() as group:

        def start(what: str, part: Awaitable[T], *, is_optional: bool = False) -> asyncio.Task[T | None]:
            reading = reader.read(what, part, is_optional=is_optional)
            return group.create_task(reading, name=f"preflight: {what}")

        zones = start("zones", account_readings.zones(aws, spec.region))
        types = start("instance types", account_readings.types(aws, spec))
        quotas = [
            start(quotas_of(service), account_readings.quotas(aws, service), is_optional=True)
            for service in services
        ]
        vpcs = start("VPCs in use", usage_readings.vpcs(aws, cluster))
        gateways = start("internet gateways in use", usage_readings.internet_gateways(aws, cluster))
        nats = start("NAT gateways in use", usage_readings.nat_gateways(aws, cluster))
        addresses = start("addresses in use", usage_readings.addresses(aws, cluster))
        security = start("security groups in use", usage_readings.security_groups(aws, cluster))
        scaling = start("Auto Scaling groups in use", usage_readings.scaling_groups(aws, cluster))
        clusters = start("EKS clusters in use", usage_readings.clusters(aws, cluster))
        vcpus = start("vCPUs in use", usage_readings.vcpus(aws, cluster))
        subnets = start("subnets", own_readings.subnets(aws, spec))
        own_vpcs = start("VPC of the subnets", own_readings.vpcs(aws, spec))
        certificate = start("certificate", own_readings.certificate(aws, spec))
        policies = [
            (arn, start(f"policy {arn}", own_readings.policy_exists(aws, arn)))
            for arn in spec.iam_policy_arns
        ]
        bucket_state = start("bucket", own_readings.bucket_state(aws, bucket, identity.account, spec.region))
        cluster_state = start("EKS cluster", own_readings.cluster_state(aws, cluster))
    return ObservedAccount(
        identity=identity,
        region=region,
        zones=zones.result(),
        types=types.result(),
        quotas={code: value for task in quotas for code, value in (task.result() or {}).items()},
        in_use=InUse(
            vpcs=vpcs.result(),
            internet_gateways=gateways.result(),
            nat_gateways=nats.result(),
            addresses=addresses.result(),
            security_groups=security.result(),
            scaling_groups=scaling.result(),
            clusters=clusters.result(),
            vcpus=vcpus.result(),
        ),
        subnets=subnets.result(),
        vpcs=own_vpcs.result(),
        certificate=certificate.result(),
        policies={arn: found for arn, task in policies if (found := task.result()) is not None},
        bucket=bucket_state.result(),
        bucket_name=bucket,
        cluster=cluster_state.result(),
        unchecked=(*unchecked, *sorted(reader.unchecked, key=lambda note: note.what)),
    )


async def _unnested(part: Awaitable[T]) -> T:
    """Await a part. Of the errors of its own tasks, it raises one."""
    try:
        return await part
    except BaseExceptionGroup as group:
        raise _first(group) from None


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group of failed tasks that matters most: a fault of ours, or bad credentials."""
    return min(_leaves(group), key=_rank)


def _rank(error: BaseException) -> int:
    if not isinstance(error, AwsError):
        return 0
    return 1 if isinstance(error, NoAwsCredentials | AwsCredentialsRefused) else 2


def _leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    nested = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return [leaf for each in nested for leaf in _leaves(each)]
