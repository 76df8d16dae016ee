"""Kinds that gyrus does not have: a model, a planner where none fits, and two lines that register them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import pytest
from pydantic import Field

from gyrus.contract.operator import Outcome
from gyrus.contract.replica import Phase, ProcessConfig, RestartPolicy
from gyrus.contract.workload import Code, Workload
from gyrus.control import plan as serving
from gyrus.control.plan import Plan
from gyrus.control.planners import PLANNERS
from gyrus.control.situation import Situation
from gyrus.control.verdict import Verdict
from gyrus.spec.api import ApiSpec, Autoscaling
from gyrus.spec.kinds import KINDS
from gyrus.spec.replicated import ReplicatedSpec, Scaling, Serving, ServingSpec
from gyrus.spec.words import Text
from gyrus.state.board import Route
from support.routes import route_to


class EchoSpec(ApiSpec):
    """An API that runs nothing: the gateway has its whole answer."""

    kind: Literal["EchoAPI"] = "EchoAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """What kind of API it is."""

    @property
    def endpoint_path(self) -> str:
        return f"/{self.name}"


class EchoPlanner:
    def plan(self, situation: Situation[EchoSpec], now: datetime) -> Plan:
        if situation.api.deleting:
            return Plan(forget=True)
        return Plan(route=self.route(situation, frozenset()), verdict=Verdict(Outcome.DONE))

    def route(self, situation: Situation[EchoSpec], retiring: frozenset[str]) -> Route:
        path = situation.target_spec.endpoint_path
        return route_to(situation.api.name, path=path, timeout=1.0)


class ChatSpec(ServingSpec):
    """An API whose replicas serve a language model. Their number is fixed, or scaled."""

    kind: Literal["ChatAPI"] = "ChatAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """What kind of API it is."""
    model: Text = Field(examples=["small.gguf"])
    """The model."""
    replicas: int = Field(default=2, ge=1, le=9)
    """How many replicas there are, if their number is not scaled."""
    autoscaling: Autoscaling | None = None
    """How their number is scaled."""

    @property
    def endpoint_path(self) -> str:
        return f"/chat/{self.name}"

    @property
    def serving(self) -> Serving:
        return Serving(timeout=timedelta(seconds=9), slots=1, hold=timedelta(seconds=5))

    @property
    def scaling(self) -> Scaling | None:
        return self.autoscaling and Scaling(settings=self.autoscaling, target_in_flight=1.0, slots=1)

    @property
    def initial_replicas(self) -> int:
        return super().initial_replicas if self.scaling else self.replicas

    def workload(self, package: str | None) -> Workload:
        return Workload(code=Code(process=ProcessConfig(command=("serve", self.model))))


class OnceSpec(ReplicatedSpec):
    """A program that runs once and serves nothing."""

    kind: Literal["OnceAPI"] = "OnceAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """What kind of API it is."""
    program: Text = Field(examples=["train"])
    """The program."""

    @property
    def endpoint_path(self) -> str:
        return f"/once/{self.name}"

    @property
    def initial_replicas(self) -> int:
        return 0

    def workload(self, package: str | None) -> Workload:
        process = ProcessConfig(command=(self.program,), serves=False)
        return Workload(code=Code(process=process), restart=RestartPolicy.NEVER)


class OncePlanner:
    def plan(self, situation: Situation[OnceSpec], now: datetime) -> Plan:
        everything = tuple(replica.id for replica in situation.replicas)
        if situation.api.deleting:
            return Plan(stop=everything, forget=not everything)
        if situation.api.outcome is not Outcome.PROGRESSING:
            return Plan(stop=everything)
        for replica in situation.current:
            if replica.status.phase is Phase.SUCCEEDED:
                return Plan(verdict=Verdict(Outcome.DONE))
            if replica.status.phase is Phase.FAILED:
                return Plan(verdict=Verdict(Outcome.FAILED, f"It failed: {replica.status.message}."))
        return Plan(start=not situation.current, stop=tuple(each.id for each in situation.outdated))

    def route(self, situation: Situation[OnceSpec], retiring: frozenset[str]) -> None:
        return None


def add_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the three kinds until the end of a test."""
    planners = {EchoSpec: EchoPlanner(), ChatSpec: serving, OnceSpec: OncePlanner()}
    for spec, planner in planners.items():
        monkeypatch.setitem(KINDS, spec.model_fields["kind"].default, spec)
        monkeypatch.setitem(PLANNERS, spec, planner)
