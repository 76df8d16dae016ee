"""The parts of a specification as pydantic models, and what every kind of API has in common.

Names, defaults and limits of the YAML are here. Each kind's own model is in its own module (see ``kinds``).
A specification that exists is consistent: each model refuses contradictions, too. Editors show the texts
under the fields (see ``schema``).
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from gyrus.contract.models import ModelFolder, ModelObject
from gyrus.spec.faults import Contradiction
from gyrus.spec.quantities import (
    AUTO,
    AutoDuration,
    Cores,
    Duration,
    MemorySize,
    ReplicaShare,
    between,
    format_auto_duration,
    share_of,
)
from gyrus.spec.words import (
    Config,
    CronLine,
    ImageName,
    ModelsPlace,
    Name,
    ProjectFile,
    PythonFile,
    RoutePath,
    Text,
    TimeZone,
)

CONTRADICTIONS = "contradictions"
"""Type of the pydantic error with all contradictions of a model. Its context has them under this name."""


DIGESTED = "digested"
"""The context of a model that is written for its digest."""
FIRST_MAX_WAIT = timedelta(milliseconds=5)
"""The default of ``batching.max_wait`` before auto. Digests leave it out, and contain auto."""


class Model(BaseModel):
    """A frozen, strict model: an unknown field is an error, and so is a number in quotes."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    def contradictions(self) -> Iterator[Contradiction]:
        """Yield the faults of a model whose single fields are valid."""
        yield from ()

    @model_validator(mode="after")
    def _free_of_contradictions(self) -> Self:
        if found := tuple(self.contradictions()):
            text = "; ".join(contradiction.message for contradiction in found)
            raise PydanticCustomError(CONTRADICTIONS, "{text}", {"text": text, CONTRADICTIONS: found})
        return self


class Batching(Model):
    """Batching: the handler gets requests that arrive close to each other as one list."""

    max_size: int = Field(default=32, ge=1, le=4096)
    """The most requests in one batch."""
    max_wait: Annotated[AutoDuration, between("0ms", "60s")] = AUTO
    """The longest time that the first request of a batch waits for others. auto: as long as that raises the
    throughput, which is measured."""

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler, info: SerializationInfo[Any]) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if info.context == DIGESTED:  # as before auto was the default, so that no digest changed
            written.pop("max_wait", None)
            if self.max_wait != FIRST_MAX_WAIT:
                written["max_wait"] = format_auto_duration(self.max_wait)
        return written


class SnapshotObject(Model):
    """One version of one object."""

    name: str
    size: int = Field(ge=0)
    tag: str
    version: str | None = None


class ModelSnapshot(Model):
    """The exact objects of a handler's models."""

    url: str
    files: Annotated[tuple[SnapshotObject, ...], Field(strict=False)]

    @classmethod
    def of(cls, folder: ModelFolder) -> Self:
        files = tuple(
            SnapshotObject(name=file.name, size=file.size, tag=file.tag, version=file.version)
            for file in folder.files
        )
        return cls(url=folder.url, files=files)

    @property
    def folder(self) -> ModelFolder:
        files = tuple(
            ModelObject(name=file.name, size=file.size, tag=file.tag, version=file.version)
            for file in self.files
        )
        return ModelFolder(url=self.url, files=files)


def _off(value: Any) -> Any:
    """Return the word off where YAML has read it as a boolean."""
    return "off" if value is False else value


class Handler(Model):
    """A Python class that answers requests: ``__init__(self, config)``, then ``predict(self, payload)``."""

    path: PythonFile = Field(examples=["handler.py"])
    """The Python file, relative to this file. It has a class Handler, or exactly one class with predict."""
    config: Config = Field(default_factory=dict, examples=[{"threshold": 0.5}])
    """The argument of the class's __init__."""
    requirements: ProjectFile | None = Field(default=None, examples=["requirements.txt"])
    """The file of dependencies. By default requirements.txt or pyproject.toml beside this file, if it
    exists."""
    models: ModelsPlace | None = Field(default=None, examples=["s3://my-bucket/models/iris"])
    """The folder of the models, or one file: a URL (s3://, file://), or a path relative to this file. A
    revision has the objects that are there when it is deployed. The handler's __init__ gets their local
    folder as models."""
    resolved_models: SkipJsonSchema[ModelSnapshot | None] = None
    """The objects that models stood for at the deploy, which gyrus writes here."""
    batching: Batching | None = None
    """Pass requests to predict in lists. By default one at a time."""
    processes: int = Field(default=1, ge=1, le=64)
    """Worker processes in each replica."""
    warm_start: Annotated[Literal["off", "module", "model"] | None, BeforeValidator(_off)] = None
    """The part that is loaded in advance, so that a replica starts as a fork. off: nothing. module: the
    imported module of the handler. model: also an instance of the handler, whose memory all replicas share.
    By default module if autoscaling.min_replicas is 0, else off."""
    image: ImageName | None = Field(default=None, examples=["registry.example.com/iris:1"])
    """A container image that has the Python packages, on Kubernetes. By default gyrus installs the
    requirements."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _needless_requirements(self.image, self.requirements)

    @property
    def smallest_slots(self) -> int:
        """Slots that keep every process of a replica busy: one request for each, or one batch for each."""
        return self.processes * (self.batching.max_size if self.batching else 1)


class Ready(Model):
    """The readiness check of a server."""

    path: RoutePath = Field(examples=["/health"])
    """A path that answers 2xx when the server is ready."""


class Process(Model):
    """Any HTTP server that listens on ``$PORT``."""

    command: Annotated[tuple[Text, ...], Field(strict=False)] = Field(
        default=(), examples=[["vllm", "serve", "my-model"]], json_schema_extra={"minItems": 1}
    )
    """The program and its arguments. Required, unless there is an image: by default its entry point."""
    ready: Ready | None = None
    """The readiness check. By default the server is ready when it accepts connections."""
    protocol: Literal["http1", "http2"] = "http1"
    """The protocol of the server. gRPC servers use http2."""
    requirements: ProjectFile | None = Field(default=None, examples=["requirements.txt"])
    """The file of Python dependencies. By default requirements.txt or pyproject.toml beside this file, if it
    exists."""
    image: ImageName | None = Field(default=None, examples=["registry.example.com/chat:1"])
    """A container image that has the server and all its files, on Kubernetes."""

    def contradictions(self) -> Iterator[Contradiction]:
        yield from _needless_requirements(self.image, self.requirements)
        if not self.command and self.image is None:
            example = "write for example command: [vllm, serve, my-model]"
            yield Contradiction(path=("command",), message="is missing", remedy=example)
        elif self.command and not self.command[0].strip():
            yield Contradiction(path=("command", 0), message="is empty", remedy="name the program to run")


def _needless_requirements(image: str | None, requirements: str | None) -> Iterator[Contradiction]:
    if image is not None and requirements is not None:
        message = "is given beside image, and nothing is installed into an image"
        remedy = "install the packages when the image is built, or remove image"
        yield Contradiction(path=("requirements",), message=message, remedy=remedy, at_key=True)


class Compute(Model):
    """The resources of one replica."""

    cpu: Cores = 0.2
    """Cores, such as 200m or 2."""
    mem: MemorySize | None = None
    """Memory, such as 512Mi or 1Gi. A replica that uses more is restarted. By default no limit."""
    gpu: int = Field(default=0, ge=0, le=64)
    """Whole GPUs."""


class ScheduledMinimum(Model):
    """A scheduled minimum: it applies from each time of its cron line until the next time of any line."""

    cron: CronLine = Field(examples=["0 8 * * mon-fri"])
    """Minute, hour, day of month, month, day of week."""
    min_replicas: int = Field(ge=0, le=10_000)
    """The fewest replicas from then on. autoscaling.min_replicas applies as well, at all times."""
    time_zone: TimeZone = Field(default="UTC", examples=["Europe/Berlin"])
    """The time zone of the cron line."""


class Autoscaling(Model):
    """The number of replicas."""

    min_replicas: int = Field(default=1, ge=0, le=10_000)
    """The fewest replicas."""
    max_replicas: int = Field(default=100, ge=1, le=10_000)
    """The most replicas."""
    init_replicas: int | None = Field(default=None, ge=0, le=10_000)
    """Replicas that a new API starts with. By default min_replicas, but at least 1."""
    target_in_flight: float | None = Field(default=None, gt=0, le=100_000)
    """The target of requests in flight per replica. By default max_concurrency."""
    window: Annotated[Duration, between("1s", "24h")] = timedelta(seconds=60)
    """The time over which requests in flight are averaged."""
    upscale_stabilization_period: Annotated[Duration, between("0s", "24h")] = timedelta(minutes=1)
    """Scale up to no more than the lowest recommendation of this time."""
    downscale_stabilization_period: Annotated[Duration, between("0s", "24h")] = timedelta(minutes=5)
    """Scale down to no less than the highest recommendation of this time."""
    max_upscale_factor: float = Field(default=1.5, gt=1, le=1000)
    """The largest factor by which one decision multiplies the number of replicas."""
    max_downscale_factor: float = Field(default=0.75, ge=0, lt=1)
    """The smallest factor by which one decision multiplies the number of replicas."""
    upscale_tolerance: float = Field(default=0.05, ge=0, le=1000)
    """Scale up only if the recommendation is above the current number by more than this share."""
    downscale_tolerance: float = Field(default=0.05, ge=0, lt=1)
    """Scale down only if the recommendation is below the current number by more than this share."""
    panic_window: Annotated[Duration, between("1s", "24h")] = timedelta(seconds=6)
    """The short time over which a burst is detected. The autoscaler follows a burst at once."""
    panic_threshold: float | None = Field(default=2.0, gt=1, le=1000)
    """A burst is load that needs this many times the current replicas. null: no load is a burst."""
    forecast: bool = True
    """Start replicas ahead of the predicted load, by the time that their start takes. The prediction uses the
    trend and the season of the traffic."""
    schedule: Annotated[tuple[ScheduledMinimum, ...], Field(strict=False, max_length=100)] = Field(
        default=(), examples=[[{"cron": "0 8 * * mon-fri", "min_replicas": 5, "time_zone": "Europe/Berlin"}]]
    )
    """Minimums by the time of the day, week or year."""

    def contradictions(self) -> Iterator[Contradiction]:
        least, most, first = self.min_replicas, self.max_replicas, self.init_replicas
        if least > most:
            message = f"is {least}, above max_replicas, which is {self._shown('max_replicas')}"
            yield Contradiction(path=("min_replicas",), message=message, remedy="raise max_replicas")
        elif first is not None and not least <= first <= most:
            message = (
                f"is {first}, not between min_replicas ({self._shown('min_replicas')}) and "
                f"max_replicas ({self._shown('max_replicas')})"
            )
            yield Contradiction(path=("init_replicas",), message=message, remedy="choose a number between")
        for number, line in enumerate(self.schedule):
            if line.min_replicas > most:
                message = (
                    f"is {line.min_replicas}, above max_replicas, which is {self._shown('max_replicas')}"
                )
                yield Contradiction(
                    path=("schedule", number, "min_replicas"), message=message, remedy="raise max_replicas"
                )

    def _shown(self, field: str) -> str:
        return f"{getattr(self, field)}{'' if field in self.model_fields_set else ' by default'}"

    @property
    def initial(self) -> int:
        """Replicas that a new API starts with."""
        wanted = max(self.min_replicas, 1) if self.init_replicas is None else self.init_replicas
        return min(max(wanted, self.min_replicas), self.max_replicas)


class UpdateStrategy(Model):
    """Limits of an update, as counts or shares of the target number: surge rounds up, unavailable down."""

    max_surge: ReplicaShare = "25%"
    """Replicas beyond the target number during an update."""
    max_unavailable: ReplicaShare = "25%"
    """Replicas that may be missing during an update."""

    def contradictions(self) -> Iterator[Contradiction]:
        if not share_of(self.max_surge, 100, up=True) and not share_of(self.max_unavailable, 100, up=True):
            message = "is 0, and max_unavailable is 0 too: no replica could ever be replaced"
            yield Contradiction(path=("max_surge",), message=message, remedy="let one of them be 1 or more")


class ApiSpec(Model, ABC):
    """One API of any kind."""

    name: Name = Field(examples=["iris"])
    """The API's unique name. It is part of the URL."""
    kind: str
    """The kind, which selects the model (see ``kinds``)."""

    @classmethod
    def missing(cls, fields: Mapping[str, Any]) -> Iterator[Contradiction]:
        """Yield the contradictions that are certain even if values of these fields are wrong."""
        yield from ()

    @property
    @abstractmethod
    def endpoint_path(self) -> str:
        """The path under the gateway, with its leading and without a trailing slash."""

    @property
    def files(self) -> frozenset[str]:
        """Files of the project that the specification names."""
        return frozenset()

    @property
    def models(self) -> str | None:
        """The place of the models, which must be resolved at the deploy. None if there are none."""
        return None

    def with_models(self, snapshot: ModelSnapshot | None) -> Self:
        """Return this specification with these exact objects as its models."""
        return self

    def with_models_of(self, deployed: ApiSpec) -> Self:
        """Return this specification with the objects that it was deployed with, if the place is the same."""
        return self

    @property
    def runs(self) -> str:
        """The file or the command that answers requests, for display."""
        return ""

    @property
    def replica_range(self) -> str:
        """The range of the number of replicas, for display."""
        return "-"

    @property
    def needs_containers(self) -> str:
        """The field for which replicas must be containers; "" if they may be processes of one machine."""
        return ""

    @property
    def uses_package(self) -> bool:
        """True if replicas have the project's files."""
        return True

    @property
    def needs_package(self) -> bool:
        """True if the API cannot be deployed without the project's files."""
        return bool(self.files)

    @property
    def request_timeout(self) -> timedelta:
        """Time from a request's arrival until its answer starts; 0 if this kind answers no requests."""
        return timedelta(0)

    @property
    def initial_replicas(self) -> int:
        """Replicas that a new API starts with; 0 if this kind has none."""
        return 0

    def bounded_replicas(self, present: int) -> int:
        """Return the replicas for the start of an update, if ``present`` are requested before it."""
        return 0

    def digest(self, package: str | None) -> str:
        """Return the digest of this specification and its files. APIs with equal digests behave alike.

        Fields with their default are left out, so that a field that a newer gyrus adds changes no digest.
        """
        dumped = self.model_dump(mode="json", exclude_defaults=True, context=DIGESTED)
        written = dumped | {"kind": self.kind}
        content = json.dumps([written, package if self.uses_package else None], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()
