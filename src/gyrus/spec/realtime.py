"""The kind RealtimeAPI: a handler or a server answers each request at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field

from gyrus.contract.containers import ContainerGroup
from gyrus.contract.workload import Placement, Workload, WorkloadEnvironment
from gyrus.spec.api import (
    ApiSpec,
    Autoscaling,
    Compute,
    Handler,
    ModelSnapshot,
    Process,
    UpdateStrategy,
)
from gyrus.spec.containers import PodSpec
from gyrus.spec.faults import Contradiction, nearest
from gyrus.spec.networking import Networking
from gyrus.spec.placement import TaintToleration, toleration_of
from gyrus.spec.quantities import BodySize, Duration, between
from gyrus.spec.replicated import Scaling, Serving, ServingSpec
from gyrus.spec.words import LabelKey, LabelName, LabelValue, Text, Variable, check_endpoint
from gyrus.spec.workload import (
    DRAIN_ALLOWANCE,
    START_TIMEOUT,
    WarmStart,
    code_of,
    compute_of,
    group_of,
    limits_of,
    pod_group,
    total,
)

MAX_BODY = 32 * 2**20
"""Bytes of a request's body, by default."""
MAX_QUEUE_LENGTH = 100
"""Requests that wait at a replica, by default."""
SOURCES = ("handler", "model", "process", "pod")
"""Fields that name what answers requests, those of later versions included."""


def _default_concurrency(fields: dict[str, Any]) -> int | None:
    handler: Handler | None = fields.get("handler")
    return handler.smallest_slots if handler else None


class RealtimeSpec(ServingSpec):
    """One API that answers each request at once."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [name]} for name in ("handler", "process", "pod")]}
    )

    kind: Literal["RealtimeAPI"] = "RealtimeAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """The kind of the API. A RealtimeAPI answers each request at once."""
    handler: Handler | None = None
    """A Python class that answers requests. Exactly one of handler, process and pod is required."""
    process: Process | None = None
    """Any HTTP server that listens on $PORT. Exactly one of handler, process and pod is required."""
    pod: PodSpec | None = None
    """Containers, on Kubernetes. Exactly one of handler, process and pod is required."""
    max_concurrency: int | None = Field(default_factory=_default_concurrency, ge=1, le=100_000)
    """Requests that a replica processes at the same time; null means no limit. By default one for each
    process of a handler (with batching, one batch for each), and no limit for a process."""
    max_queue_length: int = Field(default=MAX_QUEUE_LENGTH, ge=0, le=100_000)
    """The most requests that wait at a replica. The next one is refused with 503."""
    timeout: Annotated[Duration, between("1ms", "24h")] = timedelta(seconds=60)
    """Time from a request's arrival until its answer starts. After it, the request is refused with 504."""
    max_hold: Annotated[Duration, between("0ms", "24h")] | None = None
    """The longest time that a request is held while there is no replica. After it, the request is refused
    with 503. By default, and at most, timeout."""
    max_body: BodySize = Field(default=MAX_BODY, json_schema_extra={"default": "32Mi"})
    """The largest body of a request. A larger one is refused with 413."""
    idempotent: bool = False
    """Every request may be sent twice: the gateway then retries all methods, not only GET and HEAD."""
    compute: Compute = Compute()
    """The resources of one replica."""
    env: dict[Variable, Text] = Field(
        default_factory=dict,
        examples=[{"LOG_LEVEL": "info"}],
        json_schema_extra={"additionalProperties": {"type": ["string", "number"]}},
    )
    """Environment variables of the replica."""
    autoscaling: Autoscaling = Autoscaling()
    """The number of replicas."""
    update_strategy: UpdateStrategy = UpdateStrategy()
    """Limits of an update."""
    networking: Networking = Networking()
    """The address of the API."""
    node_groups: (
        Annotated[tuple[LabelName, ...], Field(strict=False, min_length=1, max_length=100)] | None
    ) = Field(default=None, examples=[["spot", "on-demand"]])
    """Names of the cluster's node groups on which replicas may run, the preferred ones first. By default on
    all nodes."""
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict, examples=[{"disktype": "ssd"}])
    """Labels that a node of the cluster must have to run replicas."""
    tolerations: Annotated[tuple[TaintToleration, ...], Field(strict=False, max_length=100)] = Field(
        default=(), examples=[[{"key": "nvidia.com/gpu", "operator": "Exists"}]]
    )
    """Taints of the cluster's nodes that replicas accept."""
    priority: LabelName | None = None
    """The PriorityClass of the replicas in a cluster. By default the installation's."""

    @classmethod
    def missing(cls, fields: Mapping[str, Any]) -> Iterator[Contradiction]:
        misspelt = any(nearest(name, SOURCES) for name in fields.keys() - cls.model_fields.keys())
        fault = _source_fault([name for name in SOURCES if fields.get(name) is not None])
        if fault and not misspelt:  # an unknown field that was meant to be the source is already a fault
            yield fault

    def contradictions(self) -> Iterator[Contradiction]:
        sources = [name for name in ("handler", "process", "pod") if getattr(self, name) is not None]
        if fault := _source_fault(sources):
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
        if self.pod:
            yield from self._misplaced()
        if self.networking.endpoint is None:
            yield from _reserved_name(self.name)

    def _misplaced(self) -> Iterator[Contradiction]:
        """Yield the fields that the section ``pod`` has itself."""
        homes = {
            "max_concurrency": (self.max_concurrency is not None, "pod.max_concurrency"),
            "max_queue_length": (self.max_queue_length != MAX_QUEUE_LENGTH, "pod.max_queue_length"),
            "compute": (self.compute != Compute(), "compute of each container"),
            "env": (bool(self.env), "env of each container"),
        }
        for field, (given, home) in homes.items():
            if given:
                message = "is given beside pod"
                yield Contradiction(path=(field,), message=message, remedy=f"write {home}", at_key=True)

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
        """Requests that one replica processes at the same time; None means no limit.

        With batching, slots count requests, not batches. They suffice for one batch in each process.
        """
        if self.pod:
            return self.pod.max_concurrency
        if self.max_concurrency is None or not self.handler:
            return self.max_concurrency
        return max(self.max_concurrency, self.handler.smallest_slots)

    @property
    def target_in_flight(self) -> float:
        """The autoscaler's target of requests in flight per replica."""
        return self.autoscaling.target_in_flight or self.slots or 1

    @property
    def hold(self) -> timedelta:
        """The longest time that a request is held while there is no replica."""
        return self.timeout if self.max_hold is None else min(self.max_hold, self.timeout)

    @property
    def warm_start(self) -> WarmStart:
        if self.handler is None:
            return "off"
        return self.handler.warm_start or ("off" if self.autoscaling.min_replicas else "module")

    @property
    def endpoint_path(self) -> str:
        """The path under the gateway, with its leading and without a trailing slash."""
        return "/" + (self.networking.endpoint or self.name).strip("/")

    @property
    def files(self) -> frozenset[str]:
        sources = [source for source in (self.handler, self.process) if source]
        requirements = {source.requirements for source in sources if source.requirements}
        return frozenset(requirements | ({self.handler.path} if self.handler else set()))

    @property
    def runs(self) -> str:
        if self.handler:
            return self.handler.path
        if self.pod:
            return ", ".join(container.image for container in self.pod.containers)
        return " ".join(self.process.command) or self.process.image or "" if self.process else ""

    @property
    def needs_containers(self) -> str:
        if self.pod:
            return "pod"
        named = (("handler", self.handler), ("process", self.process))
        return next((f"{name}.image" for name, source in named if source and source.image), "")

    @property
    def uses_package(self) -> bool:
        return self.handler is not None or (self.process is not None and self.process.image is None)

    @property
    def queue(self) -> int:
        """Requests that may wait at one replica."""
        return self.pod.max_queue_length if self.pod else self.max_queue_length

    @property
    def scaling(self) -> Scaling:
        return Scaling(settings=self.autoscaling, target_in_flight=self.target_in_flight, slots=self.slots)

    @property
    def serving(self) -> Serving:
        return Serving(
            timeout=self.timeout,
            idempotent=self.idempotent,
            protocol=self.process.protocol if self.process else "http1",
            runtime_answers=self.handler is not None or self.slots is not None,
            slots=self.slots,
            longest_queue=self.queue,
            processes=self.processes,
            hold=self.hold,
            max_body=self.max_body,
            cors=self.networking.cors,
        )

    @property
    def update_limits(self) -> UpdateStrategy:
        return self.update_strategy

    @property
    def models(self) -> str | None:
        return self.handler.models if self.handler else None

    def with_models(self, snapshot: ModelSnapshot | None) -> Self:
        if self.handler is None:
            return self
        handler = self.handler.model_copy(update={"resolved_models": snapshot})
        return self.model_copy(update={"handler": handler})

    def with_models_of(self, deployed: ApiSpec) -> Self:
        if not isinstance(deployed, RealtimeSpec) or not deployed.handler or deployed.models != self.models:
            return self
        return self.with_models(deployed.handler.resolved_models)

    @property
    def processes(self) -> int:
        """Processes of one replica."""
        return self.handler.processes if self.handler else 1

    def workload(self, package: str | None) -> Workload:
        source = self.handler or self.process
        group = self._group()
        return Workload(
            code=code_of(
                package,
                handler=self.handler,
                process=self.process,
                group=group,
                warm_start=self.warm_start,
            ),
            compute=total(group) if group else compute_of(self.compute),
            environment=WorkloadEnvironment(
                requirements=source.requirements if source else None, variables=dict(self.env)
            ),
            limits=replace(
                limits_of(self.slots, self.queue, self.timeout, self.processes),
                max_body=self.max_body,
            ),
            start_timeout=START_TIMEOUT,
            grace=self.timeout.total_seconds() + DRAIN_ALLOWANCE,
            placement=Placement(
                node_groups=self.node_groups or (),
                node_selector=dict(self.node_selector),
                tolerations=tuple(map(toleration_of, self.tolerations)),
                priority=self.priority,
            ),
        )

    def _group(self) -> ContainerGroup | None:
        if self.pod:
            return pod_group(self.pod)
        return group_of(self.process, self.compute, self.env) if self.process else None


def _source_fault(given: list[str]) -> Contradiction | None:
    """Return the fault if not exactly one field names what answers requests."""
    if len(given) == 1:
        return None
    remedy = "exactly one of handler, model, process, pod is required"
    if not given:
        return Contradiction(path=(), message="names nothing that answers requests", remedy=remedy)
    message = f"has {' and '.join(given)}"
    return Contradiction(path=(given[-1],), message=message, remedy=remedy, at_key=True)


def _reserved_name(name: str) -> Iterator[Contradiction]:
    try:
        check_endpoint(name)
    except ValueError:
        message = f"{name} is reserved as an endpoint"
        yield Contradiction(path=("name",), message=message, remedy="write another networking.endpoint")
