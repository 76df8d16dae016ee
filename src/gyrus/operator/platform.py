"""The parts of an operator that depend on where it runs: on one machine, or on Kubernetes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gyrus.backends.protocol import Backend, RunningMachine
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.prices.table import PriceTable, packaged_prices
from gyrus.contract.home import Home
from gyrus.contract.operator import LARGEST_PACKAGE
from gyrus.gate.activator import Activator
from gyrus.gate.replicas import ProofOf, no_proof
from gyrus.log_archive.archive import ArchiveLimits
from gyrus.operator.machine_prices import nothing_attached
from gyrus.packaging.store import PackageStore
from gyrus.server.context import ModelResolver
from gyrus.server.listening import ApiListener
from gyrus.server.monitoring import OperatorMonitor
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedStore:
    """A database that several operators reach."""

    url: str = field(repr=False)
    """With its password: it must not be logged."""
    leader: str
    """The name of this process, which no other operator has had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    home: Home
    operator_port: int | None
    """The port of the API. None to serve it on the home's socket only."""
    gateway_port: int
    overcommit: bool = False
    """True to ignore the CPU and memory that replicas request."""
    max_package: int = LARGEST_PACKAGE
    """The most bytes of a package."""
    hosts: tuple[str, ...] = ()
    """Names besides localhost under which clients may address the gateway."""
    new_database: bool = False
    """True to begin with an empty database in a home that had one."""
    store: SharedStore | None = None
    """The database that several operators reach. None for the one in the home."""
    log_archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    """The bounds of the log archive in a cluster."""
    cloudwatch: CloudWatchTarget | None = None
    """The place of log and metrics in CloudWatch, for a cluster. None if they are not sent."""
    price: float | None = None
    """The price of every machine, in US dollars per hour. None if machines state their own, or have none."""
    shared_costs: Mapping[str, float] = field(default_factory=dict[str, float])
    """By part of the cluster that no API causes alone, such as its control plane: US dollars per hour."""


class Gateway(Protocol):
    """The gateways that the operator configures."""

    async def adopt(self) -> None:
        """Find the gateways that run, before control decides anything. Raises GatewayError."""
        ...

    async def run(self) -> None:
        """Serve until cancelled. The gateways go on without the operator."""
        ...

    async def stop(self) -> None:
        """End the gateways that belong to this operator. Call it after :meth:`run` has ended."""
        ...


Tasks = Mapping[str, Callable[[], Awaitable[object]]]
"""Parts to run until the operator ends, by name."""


def no_deciders(store: Store, events: EventRecorder) -> Tasks:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """The parts of one operator that depend on where it runs."""

    backend: Backend
    gateway: Gateway
    activator: Activator
    packages: PackageStore
    models: ModelResolver
    """Resolves the places of models."""
    gateway_url: Callable[[], str]
    """Returns the base URL of the endpoints, as it is known now."""
    token: str | None
    """The token of the API's port. None if there is no port."""
    token_place: str
    """The place of the token, for messages. Empty if it is in the home."""
    proof_of: ProofOf = no_proof
    """Returns the proof of private calls to a replica's process."""
    stop_refusal: str = ""
    """The reason why requests to stop the platform are refused, and the remedy. Empty if they are not."""
    containers: bool = False
    """True if replicas are containers, so that they can run images of the user's own."""
    listen: Callable[[], list[ApiListener]]
    """Listens where the API is served. Raises CannotListen."""
    load: Callable[[], Awaitable[None]]
    """Reads what earlier operators have stored, once the store is open. Raises StateError."""
    monitor: OperatorMonitor | None = None
    """The operator's state, for probes and Prometheus. None if metrics and health have no port."""
    tasks: Tasks = field(default_factory=dict[str, Callable[[], Awaitable[object]]])
    """Further parts to run until the operator ends, by name."""
    price_table: Callable[[str], PriceTable] = packaged_prices
    """Returns the prices of a region of AWS, as they are known now."""
    attached_price: Callable[[RunningMachine], float] = nothing_attached
    """Returns the price of what a machine has besides its instance, such as its volume."""
    shared_costs: Mapping[str, float] = field(default_factory=dict[str, float])
    """Prices of parts besides machines, beside those of the settings: US dollars per hour."""
    price_remedy: str = ""
    """The way to set the prices of machines, for users."""
    deciders: Callable[[Store, EventRecorder], Tasks] = no_deciders
    """Returns further parts that write to the store. They end before the parts that carry traffic."""
