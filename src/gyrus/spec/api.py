"""The specification of one API, as pydantic models: names, defaults and limits of the YAML.

A specification that exists is right in itself: each model refuses what contradicts itself, too. The texts
under the fields are what editors show (see ``schema``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from gyrus.spec.faults import Contradiction
from gyrus.spec.quantities import Cores, Duration, Memory, Share, between, share_of
from gyrus.spec.words import (
    Config,
    CronLine,
    Endpoint,
    Name,
    ProjectFile,
    PythonFile,
    Route,
    Text,
    TimeZone,
    Variable,
    check_endpoint,
)

Kind = Literal["RealtimeAPI"]

CONTRADICTIONS = "contradictions"
"""Type of the one pydantic error that carries all contradictions of a model, under the same name."""


class Model(BaseModel):
    """Frozen, and without tolerance: an unknown field is an error, and so is a number in quotes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """What is wrong though each field is right by itself."""
        yield from ()

    @model_validator(mode="after")
    def _free_of_contradictions(self) -> Self:
        if found := tuple(self.contradictions()):
            text = "; ".join(contradiction.message for contradiction in found)
            raise PydanticCustomError(CONTRADICTIONS, "{text}", {"text": text, CONTRADICTIONS: found})
        return self


class Batching(Model):
    """Requests that arrive close to each other reach the handler as one list."""

    max_size: int = Field(default=32, ge=1, le=4096)
    """The most requests in one batch."""
    max_wait: Annotated[Duration, between("0ms", "60s")] = timedelta(milliseconds=5)
    """How long the first request of a batch waits for others."""


def _off(value: Any) -> Any:
    """YAML reads the word off as a boolean."""
    return "off" if value is False else value


class Handler(Model):
    """A Python class that answers: ``__init__(self, config)``, then ``predict(self, payload)``."""

    path: PythonFile = Field(examples=["handler.py"])
    """The Python file, relative to this file. It has a class Handler, or only one class with predict."""
    config: Config = Field(default_factory=dict, examples=[{"threshold": 0.5}])
    """Given to the class's __init__."""
    requirements: ProjectFile | None = Field(default=None, examples=["requirements.txt"])
    """The dependencies. By default requirements.txt or pyproject.toml beside this file, if there."""
    batching: Batching | None = None
    """Hand requests to predict in lists."""
    processes: int = Field(default=1, ge=1, le=64)
    """Worker processes in each replica."""
    warm_start: Annotated[Literal["off", "module", "model"] | None, BeforeValidator(_off)] = None
    """What is ready in advance, so that a replica starts by a fork: off, nothing; module, the handler's
    module, imported; model, an instance of the handler too, whose memory all replicas share. By default
    module where autoscaling.min_replicas is 0, else off."""

    @property
    def smallest_slots(self) -> int:
        """Slots with which every process of a replica has work: one request each, or one batch each."""
        return self.processes * (self.batching.max_size if self.batching else 1)


class Ready(Model):
    """How to know that a server is ready."""

    path: Route = Field(examples=["/health"])
    """Answers 2xx when the server is ready."""


class Process(Model):
    """Any HTTP server that listens on ``$PORT``."""

    command: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] = Field(
        examples=[["vllm", "serve", "my-model"]]
    )
    """The program and its arguments."""
    ready: Ready | None = None
    """By default the server is ready when it accepts connections."""
    protocol: Literal["http1", "http2"] = "http1"
    """What the server speaks. gRPC servers speak http2."""
    requirements: ProjectFile | None = Field(default=None, examples=["requirements.txt"])
    """Python dependencies. By default requirements.txt or pyproject.toml beside this file, if there."""

    def contradictions(self) -> Iterator[Contradiction]:
        if not self.command[0].strip():
            yield Contradiction(path=("command", 0), message="is empty", remedy="name the program to run")


class Compute(Model):
    """What one replica needs."""

    cpu: Cores = 0.2
    """Cores, such as 200m or 2."""
    mem: Memory | None = None
    """Memory, such as 512Mi or 1Gi. A replica that takes more is restarted. By default no limit."""
    gpu: int = Field(default=0, ge=0, le=64)
    """Whole GPUs."""


class ScheduledMinimum(Model):
    """From each time that the line names, ``min_replicas`` is this, until another line's time comes."""

    cron: CronLine = Field(examples=["0 8 * * mon-fri"])
    """Minute, hour, day of month, month, day of week."""
    min_replicas: int = Field(ge=0, le=10_000)
    """The least replicas from then on. Never below autoscaling.min_replicas, which always holds."""
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Berlin"])
    """Of the line's hours."""


class Autoscaling(Model):
    """How many replicas run."""

    min_replicas: int = Field(default=1, ge=0, le=10_000)
    """The least replicas."""
    max_replicas: int = Field(default=100, ge=1, le=10_000)
    """The most replicas."""
    init_replicas: int | None = Field(default=None, ge=0, le=10_000)
    """Replicas that a new API starts with. By default min_replicas, but at least 1."""
    target_in_flight: float | None = Field(default=None, gt=0, le=100_000)
    """Requests in flight per replica to aim at. By default max_concurrency."""
    window: Annotated[Duration, between("1s", "24h")] = timedelta(seconds=60)
    """The time over which requests in flight are averaged."""
    upscale_stabilization_period: Annotated[Duration, between("0s", "24h")] = timedelta(minutes=1)
    """Scale up to no more than the lowest recommendation of this time."""
    downscale_stabilization_period: Annotated[Duration, between("0s", "24h")] = timedelta(minutes=5)
    """Scale down to no less than the highest recommendation of this time."""
    max_upscale_factor: float = Field(default=1.5, gt=1, le=1000)
    """The most by which the number of replicas is multiplied at once."""
    max_downscale_factor: float = Field(default=0.75, ge=0, lt=1)
    """The least by which the number of replicas is multiplied at once."""
    upscale_tolerance: float = Field(default=0.05, ge=0, le=1000)
    """Scale up only where the recommendation is above the present by more than this share."""
    downscale_tolerance: float = Field(default=0.05, ge=0, lt=1)
    """Scale down only where the recommendation is below the present by more than this share."""
    panic_window: Annotated[Duration, between("1s", "24h")] = timedelta(seconds=6)
    """The short time over which a burst is recognised; such a burst is followed at once."""
    panic_threshold: float | None = Field(default=2.0, gt=1, le=1000)
    """A burst is what needs this many times the replicas that there are. null: nothing is a burst."""
    forecast: bool = True
    """Start replicas as early as their start takes, by the trend and the season of the traffic."""
    schedule: Annotated[tuple[ScheduledMinimum, ...], Field(strict=False, max_length=100)] = Field(
        default=(), examples=[[{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]]
    )
    """Minimum replicas by the time of the day, week or year."""

    def contradictions(self) -> Iterator[Contradiction]:
        least, most, first = self.min_replicas, self.max_replicas, self.init_replicas
        if least > most:
            message = f"is {least}, above max_replicas, which is {self._said('max_replicas')}"
            yield Contradiction(path=("min_replicas",), message=message, remedy="raise max_replicas")
        elif first is not None and not least <= first <= most:
            message = (
                f"is {first}, not between min_replicas ({self._said('min_replicas')}) and "
                f"max_replicas ({self._said('max_replicas')})"
            )
            yield Contradiction(path=("init_replicas",), message=message, remedy="choose a number between")
        for number, line in enumerate(self.schedule):
            if line.min_replicas > most:
                message = f"is {line.min_replicas}, above max_replicas, which is {self._said('max_replicas')}"
                yield Contradiction(
                    path=("schedule", number, "min_replicas"), message=message, remedy="raise max_replicas"
                )

    def _said(self, field: str) -> str:
        return f"{getattr(self, field)}{'' if field in self.model_fields_set else ' by default'}"

    @property
    def initial(self) -> int:
        """Replicas that a new API starts with."""
        wanted = max(self.min_replicas, 1) if self.init_replicas is None else self.init_replicas
        return min(max(wanted, self.min_replicas), self.max_replicas)


class UpdateStrategy(Model):
    """How an update proceeds. Counts, or shares of the replicas wanted: surge rounds up, unavailable down."""

    max_surge: Share = "25%"
    """Replicas beyond the wanted number while updating."""
    max_unavailable: Share = "25%"
    """Replicas that may be missing while updating."""

    def contradictions(self) -> Iterator[Contradiction]:
        if not share_of(self.max_surge, 100, up=True) and not share_of(self.max_unavailable, 100, up=True):
            message = "is 0, and max_unavailable is 0 too: no replica could ever be replaced"
            yield Contradiction(path=("max_surge",), message=message, remedy="let one of them be 1 or more")


class Networking(Model):
    """Where the API is found."""

    endpoint: Endpoint | None = Field(default=None, examples=["iris", "models/iris"])
    """Path under the gateway. By default the API's name."""


def _default_concurrency(fields: dict[str, Any]) -> int | None:
    handler: Handler | None = fields.get("handler")
    return handler.smallest_slots if handler else None


class ApiSpec(Model):
    """One API."""

    name: Name = Field(examples=["iris"])
    """Unique; part of the API's URL."""
    kind: Kind = "RealtimeAPI"
    """What kind of API it is: a RealtimeAPI answers each request at once."""
    handler: Handler | None = None
    """A Python class that answers. Exactly one of handler and process is needed."""
    process: Process | None = None
    """Any HTTP server that listens on $PORT. Exactly one of handler and process is needed."""
    max_concurrency: int | None = Field(default_factory=_default_concurrency, ge=1, le=100_000)
    """Requests that a replica works on at once; null: no limit. By default one for each process of a handler
    (with batching, one batch for each), and no limit for a process."""
    max_queue_length: int = Field(default=100, ge=0, le=100_000)
    """Requests that wait at a replica before the next is refused with 503."""
    timeout: Annotated[Duration, between("1ms", "24h")] = timedelta(seconds=60)
    """From a request's arrival until its answer starts; then it is refused with 504."""
    max_hold: Annotated[Duration, between("0ms", "24h")] | None = None
    """How long a request may be held while no replica is there; then it is refused with 503. By default, and
    at most, timeout."""
    idempotent: bool = False
    """Every request may be sent twice: the gateway retries them all, not only GET and HEAD."""
    compute: Compute = Compute()
    """What one replica needs."""
    env: dict[Variable, Text] = Field(default_factory=dict, examples=[{"LOG_LEVEL": "info"}])
    """Environment variables of the replica."""
    autoscaling: Autoscaling = Autoscaling()
    """How many replicas run."""
    update_strategy: UpdateStrategy = UpdateStrategy()
    """How an update proceeds."""
    networking: Networking = Networking()
    """Where the API is found."""

    def contradictions(self) -> Iterator[Contradiction]:
        sources = [name for name in ("handler", "process") if getattr(self, name) is not None]
        if fault := source_fault(sources):
            yield fault
        if self.handler:
            yield from self._too_few_slots(self.handler)
        if self.process and self.process.protocol == "http2" and not self.autoscaling.min_replicas:
            message = "is 0, but requests to a server that speaks http2 cannot be held while it starts"
            yield Contradiction(
                path=("autoscaling", "min_replicas"), message=message, remedy="write at least 1"
            )
        if self.process and "PORT" in self.env:
            message = "is chosen by the platform and given to the process"
            yield Contradiction(path=("env", "PORT"), message=message, remedy="remove it", at_key=True)
        if self.process and self.process.protocol == "http2" and self.max_concurrency is not None:
            message = f"is {self.max_concurrency}, but requests cannot be counted in http2"
            remedy = "remove it, or write process.protocol: http1"
            yield Contradiction(path=("max_concurrency",), message=message, remedy=remedy)
        if self.networking.endpoint is None:
            yield from _reserved_name(self.name)

    def _too_few_slots(self, handler: Handler) -> Iterator[Contradiction]:
        given, processes = self.max_concurrency, handler.processes
        if given is None:
            return
        if given < processes:
            message = f"is {given}, so that some of the {processes} processes would never work"
            yield Contradiction(
                path=("max_concurrency",),
                message=message,
                remedy=f"write at least {processes}, or fewer processes",
            )
        elif processes < given < handler.smallest_slots:
            message = (
                f"is {given}, with which a batch never fills: {handler.smallest_slots} requests are needed"
            )
            remedy = f"write at least {handler.smallest_slots}, or a smaller handler.batching.max_size"
            yield Contradiction(path=("max_concurrency",), message=message, remedy=remedy)

    @property
    def slots(self) -> int | None:
        """Requests that one replica works on at once; None: no limit.

        With batching they count requests, not batches, and suffice for one batch in each process.
        """
        if self.max_concurrency is None or not self.handler:
            return self.max_concurrency
        return max(self.max_concurrency, self.handler.smallest_slots)

    @property
    def target_in_flight(self) -> float:
        """Requests in flight per replica that the autoscaler aims at."""
        return self.autoscaling.target_in_flight or self.slots or 1

    @property
    def hold(self) -> timedelta:
        """How long a request may be held while no replica is there."""
        return self.timeout if self.max_hold is None else min(self.max_hold, self.timeout)

    @property
    def warm_start(self) -> Literal["off", "module", "model"]:
        if self.handler is None:
            return "off"
        return self.handler.warm_start or ("off" if self.autoscaling.min_replicas else "module")

    @property
    def endpoint_path(self) -> str:
        """The path under the gateway, with its leading and without a trailing slash."""
        return "/" + (self.networking.endpoint or self.name).strip("/")

    def digest(self, package: str | None) -> str:
        """Names this very specification together with its files: equal digests behave alike."""
        content = json.dumps([self.model_dump(mode="json"), package], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def source_fault(given: list[str]) -> Contradiction | None:
    """Exactly one thing must answer."""
    if len(given) == 1:
        return None
    remedy = "exactly one of handler, model, process, pod is needed"
    if not given:
        return Contradiction(path=(), message="says nothing that answers requests", remedy=remedy)
    message = f"has {' and '.join(given)}"
    return Contradiction(path=(given[-1],), message=message, remedy=remedy, at_key=True)


def _reserved_name(name: str) -> Iterator[Contradiction]:
    try:
        check_endpoint(name)
    except ValueError:
        message = f"{name} is reserved as an endpoint"
        yield Contradiction(path=("name",), message=message, remedy="write another networking.endpoint")
