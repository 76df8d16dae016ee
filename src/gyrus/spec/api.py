"""The specification of one API, as pydantic models: names and defaults of the YAML."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gyrus.spec.quantities import Cores, Duration, Memory, Share

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=42)]
Kind = Literal["RealtimeAPI"]


class Model(BaseModel):
    """Frozen, and without tolerance: an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Batching(Model):
    """Requests that arrive within ``max_wait`` of each other reach the handler as one list."""

    max_size: int = Field(default=32, ge=1, le=4096)
    max_wait: Duration = timedelta(milliseconds=5)


class Handler(Model):
    """A Python class that answers."""

    path: str
    config: dict[str, Any] = Field(default_factory=dict)
    requirements: str | None = None
    batching: Batching | None = None
    processes: int = Field(default=1, ge=1, le=64)


class Ready(Model):
    path: str = Field(pattern="^/")


class Process(Model):
    """Any HTTP server that listens on ``$PORT``."""

    command: tuple[str, ...] = Field(min_length=1)
    ready: Ready | None = None
    requirements: str | None = None


class Compute(Model):
    cpu: Cores = 0.2
    mem: Memory | None = None
    gpu: int = Field(default=0, ge=0)


class Autoscaling(Model):
    """Names and defaults of Cortex 0.42."""

    min_replicas: int = Field(default=1, ge=0)
    max_replicas: int = Field(default=100, ge=1)
    init_replicas: int | None = Field(default=None, ge=0)
    """None: ``min_replicas``, but at least 1."""
    target_in_flight: float | None = Field(default=None, gt=0)
    """None: ``max_concurrency``."""
    window: Duration = timedelta(seconds=60)
    upscale_stabilization_period: Duration = timedelta(minutes=1)
    downscale_stabilization_period: Duration = timedelta(minutes=5)
    max_upscale_factor: float = Field(default=1.5, gt=1)
    max_downscale_factor: float = Field(default=0.75, ge=0, lt=1)
    upscale_tolerance: float = Field(default=0.05, ge=0)
    downscale_tolerance: float = Field(default=0.05, ge=0, lt=1)

    @property
    def initial(self) -> int:
        """Replicas that a new API starts with."""
        wanted = max(self.min_replicas, 1) if self.init_replicas is None else self.init_replicas
        return min(max(wanted, self.min_replicas), self.max_replicas)


class UpdateStrategy(Model):
    """Counts, or shares of the replicas wanted: surge rounds up, unavailable down (as in Kubernetes)."""

    max_surge: Share = "25%"
    max_unavailable: Share = "25%"


class Networking(Model):
    endpoint: str | None = None
    """Path under the gateway; None: the API's name."""


class ApiSpec(Model):
    """One API."""

    name: Name
    kind: Kind = "RealtimeAPI"
    handler: Handler | None = None
    process: Process | None = None
    max_concurrency: int | None = Field(default=None, ge=1)
    max_queue_length: int = Field(default=100, ge=0)
    timeout: Duration = timedelta(seconds=60)
    idempotent: bool = False
    """Every request may be sent twice: the gateway retries them all, not only GET and HEAD."""
    compute: Compute = Compute()
    env: dict[str, str] = Field(default_factory=dict)
    autoscaling: Autoscaling = Autoscaling()
    update_strategy: UpdateStrategy = UpdateStrategy()
    networking: Networking = Networking()

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if (self.handler is None) == (self.process is None):
            raise ValueError("exactly one of handler, process is needed")
        return self

    @property
    def slots(self) -> int | None:
        """Requests that one replica works on at once; None: no limit."""
        if self.max_concurrency is not None:
            return self.max_concurrency
        return self.handler.processes if self.handler else None

    @property
    def endpoint_path(self) -> str:
        """The path under the gateway, with its leading and without a trailing slash."""
        return "/" + (self.networking.endpoint or self.name).strip("/")

    def digest(self, package: str | None) -> str:
        """Names this very specification together with its files: equal digests behave alike."""
        content = json.dumps([self.model_dump(mode="json"), package], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
