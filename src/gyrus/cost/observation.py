"""The present state of a cluster, as far as it costs money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gyrus.contract.operator import AmountView

NOTHING = AmountView(cpu=0, mem=0, gpu=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePrice:
    """The price of a machine per hour, in US dollars."""

    usd: float
    on_demand: float
    """The price of the same machine on demand. Higher than ``usd`` for a spot machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineReservation:
    """The amount that the replicas of one API reserve on a machine."""

    api: str
    amount: AmountView


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedMachine:
    """A machine that replicas may use."""

    name: str
    price: MachinePrice | None
    """The price; None if it is unknown."""
    total: AmountView
    reservations: tuple[MachineReservation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiUse:
    """The use of an API that exists, whether or not it has replicas."""

    requests: int | None
    """Answered requests, counted by the gateway; the count begins at 0 again with each gateway. None if the
    gateway has not reported it yet."""
    busy: float
    """Part of its slots in use: 0 to 1."""
    at_zero: bool = False
    """True if it has no replicas because no requests come."""
    replica: AmountView = NOTHING
    """The amount that one replica reserves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CostObservation:
    """The input of the ledger."""

    at: float
    """Seconds since the epoch."""
    machines: tuple[PricedMachine, ...]
    shared: Mapping[str, float] = field(default_factory=dict[str, float])
    """By part of the cluster that no API causes alone, such as its control plane: US dollars per hour."""
    apis: Mapping[str, ApiUse] = field(default_factory=dict[str, ApiUse])
