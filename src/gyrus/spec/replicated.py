"""The specifications of kinds with replicas, as control and the autoscaler see them. Pure.

::

    ApiSpec
    └── ReplicatedSpec     a backend runs replicas
        └── ServingSpec    the gateway sends them requests

A kind extends the narrowest class that fits, and no code outside its model and its planner depends on it.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from gyrus.contract.workload import Workload
from gyrus.spec.api import ApiSpec, Autoscaling, UpdateStrategy
from gyrus.spec.cors import Cors


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The part of a specification from which the autoscaler decides the number of replicas."""

    settings: Autoscaling
    target_in_flight: float
    """The target of requests in flight per replica."""
    slots: int | None
    """Requests that one replica processes at the same time. None means no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The part of a specification that decides how requests reach replicas, and how they wait there."""

    timeout: timedelta
    """Time from a request's arrival until its answer starts."""
    idempotent: bool = False
    """True if every request may be sent twice."""
    protocol: Literal["http1", "http2"] = "http1"
    runtime_answers: bool = True
    """True if the runtime answers for the replicas: as a worker, or as the proxy in front of a server."""
    slots: int | None = None
    """Requests that one replica processes at the same time. None means no limit."""
    longest_queue: int = 100
    """Requests that may wait at one replica."""
    processes: int = 1
    """Processes of one replica. They divide its slots and its queue."""
    hold: timedelta
    """The longest time that a request is held while there is no replica."""
    max_body: int = 32 * 2**20
    """The most bytes of a request's body."""
    cors: Cors | None = None
    """The other origins whose pages may call the API."""


class ReplicatedSpec(ApiSpec):
    """An API of a kind with replicas."""

    @abstractmethod
    def workload(self, package: str | None) -> Workload:
        """Return the workload of this API's replicas. ``package``: digest of the archive with the project."""

    @property
    def scaling(self) -> Scaling | None:
        """The settings of the autoscaler. None: it ignores the API, and the number of replicas is fixed."""
        return None

    @property
    def replica_range(self) -> str:
        if self.scaling is None:
            return str(self.initial_replicas)
        least, most = self.scaling.settings.min_replicas, self.scaling.settings.max_replicas
        return str(least) if least == most else f"{least} to {most}"

    @property
    def initial_replicas(self) -> int:
        return self.scaling.settings.initial if self.scaling else 1

    def bounded_replicas(self, present: int) -> int:
        """Return at least one, unless ``init_replicas`` is 0. Returns the fixed number if it is not scaled.

        Without a replica, a revision would become live although no code of it has ever run.
        """
        if self.scaling is None:
            return self.initial_replicas
        bounds = self.scaling.settings
        least = max(bounds.min_replicas, 0 if bounds.init_replicas == 0 else 1)
        return min(max(present, least), bounds.max_replicas)


class ServingSpec(ReplicatedSpec):
    """An API whose replicas answer requests from the gateway, and are replaced by rolling updates."""

    @property
    @abstractmethod
    def serving(self) -> Serving:
        """The way of requests to the replicas."""

    @property
    def update_limits(self) -> UpdateStrategy:
        """The limits of a rolling update."""
        return UpdateStrategy()

    @property
    def request_timeout(self) -> timedelta:
        return self.serving.timeout

    @property
    def may_be_idle(self) -> bool:
        """True if the API may have no replica while it has no requests."""
        return self.scaling is not None and not self.scaling.settings.min_replicas
