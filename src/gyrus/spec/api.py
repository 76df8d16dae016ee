"""The parts of a specification as pydantic models, and what every kind of API has in common.

Names, defaults and limits of the YAML are here; each kind's own model is in a module of its own (see
``kinds``). A specification that exists is right in itself: each model refuses what contradicts itself, too.
The texts under the fields are what editors show (see ``schema``).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
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
)

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


class ApiSpec(Model, ABC):
    """One API of any kind."""

    name: Name = Field(examples=["iris"])
    """Unique; part of the API's URL."""
    kind: str
    """Selects the model (see ``kinds``)."""

    @classmethod
    def missing(cls, fields: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Contradictions that these fields have already, however wrong their values are."""
        yield from ()

    @property
    @abstractmethod
    def endpoint_path(self) -> str:
        """The path under the gateway, with its leading and without a trailing slash."""

    @property
    def files(self) -> frozenset[str]:
        """The files of the project that it names."""
        return frozenset()

    @property
    def runs(self) -> str:
        """The file or the command that answers requests, for people."""
        return ""

    @property
    def replica_range(self) -> str:
        """How many replicas there may be, for people."""
        return "-"

    @property
    def needs_package(self) -> bool:
        """True if it cannot be carried out without the project's files."""
        return bool(self.files)

    @property
    def request_timeout(self) -> timedelta:
        """From a request's arrival until its answer starts. 0: nothing answers requests."""
        return timedelta(0)

    @property
    def initial_replicas(self) -> int:
        """Replicas that a new API starts with. 0: this kind has none."""
        return 0

    def bounded_replicas(self, present: int) -> int:
        """Replicas that an API starts an update with, which has ``present`` requested."""
        return 0

    def digest(self, package: str | None) -> str:
        """Name this very specification together with its files: equal digests behave alike.

        What has its default is left out, so that a field that a newer gyrus adds changes no digest.
        """
        written = self.model_dump(mode="json", exclude_defaults=True) | {"kind": self.kind}
        content = json.dumps([written, package], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
