"""A node group: instances of one kind, their volumes, and how many of them run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from gyrus.cluster.aws.identifiers import GroupName, TypeName, null_means
from gyrus.cluster.aws.instance_types import known_types, less_than
from gyrus.spec.api import Model
from gyrus.spec.faults import Contradiction

VolumeType = Literal["gp2", "gp3", "io1", "st1", "sc1"]

IOPS = {"gp3": (3000, 16_000, 500), "io1": (100, 64_000, 50)}
"""By the type of volume: the fewest and the most operations a second, and the most for each GiB."""
DEFAULT_IOPS = 3000
DEFAULT_THROUGHPUT = 125
IOPS_FOR_THROUGHPUT = 4
"""Operations a second that gp3 needs for each MiB/s."""
SMALLEST_DISK = 125
"""GiB of the smallest volume of the types st1 and sc1."""


class SpotConfig(Model):
    """The choice between spot and on-demand instances."""

    instance_distribution: Annotated[tuple[TypeName, ...], Field(strict=False), null_means(())] = Field(
        default=(), examples=[["m5.large", "m5.xlarge"]]
    )
    """Instance types that nodes may have. By default instance_type alone, which is always among them."""
    on_demand_base_capacity: Annotated[int, null_means(0)] = Field(default=0, ge=0)
    """Instances that are on demand before any are spot."""
    on_demand_percentage_above_base_capacity: Annotated[int, null_means(0)] = Field(default=0, ge=0, le=100)
    """The share of on-demand instances above the base, in percent."""
    max_price: float | None = Field(default=None, gt=0, examples=[0.1])
    """The highest price of a spot instance, in USD an hour. By default the price on demand."""
    instance_pools: int | None = Field(default=None, ge=1, le=20, examples=[2])
    """Spot pools to spread instances over. By default as many as there are types, and at most 20."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from repeated(("instance_distribution",), self.instance_distribution)


class NodeGroup(Model):
    """A group of equal nodes, which grows and shrinks."""

    name: GroupName = Field(examples=["cpu"])
    """The group's unique name. An API chooses groups by it (node_groups)."""
    instance_type: TypeName = Field(examples=["m5.large"])
    """The type of EC2 instances. A well-formed type that gyrus does not know is checked when the cluster is
    created."""
    min_instances: int = Field(default=1, ge=0)
    """The fewest instances."""
    max_instances: int = Field(default=5, ge=0)
    """The most instances."""
    priority: int = Field(default=1, ge=1, le=100)
    """The group with the higher number gets new nodes first."""
    instance_volume_size: int = Field(default=50, ge=20, le=16_384)
    """The volume of each instance, in GiB."""
    instance_volume_type: VolumeType = "gp3"
    """The type of the volume."""
    instance_volume_iops: int | None = Field(default=None, examples=[3000])
    """Operations a second of the volume: for gp3 from 3,000 to 16,000 and at most 500 for each GiB, for io1
    from 100 to 64,000 and at most 50 for each GiB. By default 3,000; for io1 no more than the size allows."""
    instance_volume_throughput: int | None = Field(default=None, ge=125, le=1000, examples=[125])
    """MiB/s of a volume of the type gp3: at most a quarter of its operations a second. By default 125."""
    spot: bool = False
    """Use spot instances."""
    spot_config: SpotConfig | None = None
    """The choice between spot and on-demand instances, with spot: true."""

    @property
    def iops(self) -> int | None:
        """Operations a second of the volume. None if its type has no choice."""
        if self.instance_volume_type not in IOPS:
            return None
        if self.instance_volume_iops is not None:
            return self.instance_volume_iops
        return min(DEFAULT_IOPS, IOPS[self.instance_volume_type][2] * self.instance_volume_size)

    @property
    def throughput(self) -> int | None:
        """MiB/s of the volume. None if its type has no choice."""
        if self.instance_volume_type != "gp3":
            return None
        return self.instance_volume_throughput or DEFAULT_THROUGHPUT

    @property
    def instance_types(self) -> tuple[str, ...]:
        """The types that nodes may have; the primary one comes first."""
        others = self.spot_config.instance_distribution if self.spot_config else ()
        return (self.instance_type, *(name for name in others if name != self.instance_type))

    def contradictions(self) -> Iterator[Contradiction]:
        if self.min_instances > self.max_instances:
            message = f"is {self.min_instances}, above max_instances, which is {self._shown('max_instances')}"
            yield Contradiction(path=("min_instances",), message=message, remedy="raise max_instances")
        yield from self._volume_faults()
        yield from self._spot_faults()

    def _volume_faults(self) -> Iterator[Contradiction]:
        kind, size = self.instance_volume_type, self.instance_volume_size
        if kind in ("st1", "sc1") and size < SMALLEST_DISK:
            shown = self._shown("instance_volume_size")
            message = f"is {shown}, and a volume of the type {kind} has at least {SMALLEST_DISK} GiB"
            remedy = "write instance_volume_size: 125, or another type"
            yield Contradiction(path=("instance_volume_size",), message=message, remedy=remedy)
        if self.instance_volume_iops is not None:
            yield from self._iops_faults(self.instance_volume_iops)
        if self.instance_volume_throughput is None:
            return
        path = ("instance_volume_throughput",)
        if kind != "gp3":
            message = f"is given, and a volume of the type {kind} has no choice of it"
            remedy = "remove it, or write instance_volume_type: gp3"
            yield Contradiction(path=path, message=message, remedy=remedy, at_key=True)
        elif self.instance_volume_throughput * IOPS_FOR_THROUGHPUT > (self.iops or 0):
            needed = self.instance_volume_throughput * IOPS_FOR_THROUGHPUT
            message = (
                f"is {self.instance_volume_throughput}, which needs {needed} operations a second, "
                f"and instance_volume_iops is {self._shown('instance_volume_iops', self.iops)}"
            )
            yield Contradiction(path=path, message=message, remedy=f"write instance_volume_iops: {needed}")

    def _iops_faults(self, iops: int) -> Iterator[Contradiction]:
        kind, path = self.instance_volume_type, ("instance_volume_iops",)
        if kind not in IOPS:
            message = f"is given, and a volume of the type {kind} has no choice of it"
            remedy = "remove it, or write instance_volume_type: gp3"
            yield Contradiction(path=path, message=message, remedy=remedy, at_key=True)
            return
        least, most, ratio = IOPS[kind]
        if not least <= iops <= most:
            message = f"must be from {least} to {most} for {kind}, not {iops}"
            yield Contradiction(path=path, message=message)
        elif iops > ratio * self.instance_volume_size:
            size = self._shown("instance_volume_size")
            message = f"is {iops}, above {ratio} for each GiB, and instance_volume_size is {size}"
            remedy = f"write instance_volume_size: {-(-iops // ratio)}, or fewer operations"
            yield Contradiction(path=path, message=message, remedy=remedy)

    def _spot_faults(self) -> Iterator[Contradiction]:
        config = self.spot_config
        if config is None:
            return
        if not self.spot:
            message = "is given, and the group has no spot instances"
            yield Contradiction(
                path=("spot_config",), message=message, remedy="write spot: true, or remove it", at_key=True
            )
        if config.on_demand_base_capacity > self.max_instances:
            message = (
                f"is {config.on_demand_base_capacity}, above max_instances, which is "
                f"{self._shown('max_instances')}"
            )
            path = ("spot_config", "on_demand_base_capacity")
            yield Contradiction(path=path, message=message, remedy="raise max_instances")
        primary = known_types().get(self.instance_type)
        for number, name in enumerate(config.instance_distribution):
            kind = known_types().get(name)
            if primary and kind and (why := less_than(kind, primary)):
                yield Contradiction(
                    path=("spot_config", "instance_distribution", number),
                    message=f"cannot replace instance_type: {why}",
                    remedy="choose a type that has at least as much",
                )

    def _shown(self, field: str, value: int | None = None) -> str:
        shown = getattr(self, field) if value is None else value
        return f"{shown}{'' if field in self.model_fields_set else ' by default'}"


def repeated(path: tuple[str | int, ...], names: tuple[str, ...], *more: str) -> Iterator[Contradiction]:
    """Yield a fault for each entry that equals an earlier one. ``more``: the path within an entry."""
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"{name} is given twice, first as number {names.index(name) + 1}"
            yield Contradiction(path=(*path, number, *more), message=message, remedy="keep one of them")
