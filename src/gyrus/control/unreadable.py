"""Plans for an API whose specification cannot be read: its replicas continue to run, and none is started.

The API leaves this state by a deploy, a rollback or a deletion, or under a version of gyrus that can read it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from gyrus.contract.operator import Outcome
from gyrus.control import plan as serving
from gyrus.control.plan import Plan
from gyrus.control.situation import Situation
from gyrus.control.verdict import Verdict
from gyrus.spec.api import Autoscaling, Process
from gyrus.spec.document import fields_of
from gyrus.spec.networking import Networking
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.replicated import ServingSpec
from gyrus.spec.stored import UnreadableSpec
from gyrus.state.board import Route


def plan(situation: Situation[UnreadableSpec], now: datetime) -> Plan:
    """Fail a progressing rollout: since no replica can be started, it could never be done."""
    if situation.api.deleting:
        return serving.plan(_understood(situation), now)
    failed = Verdict(Outcome.FAILED, situation.fault)
    return Plan(
        retiring=situation.retiring,
        route=route(situation, situation.retiring),
        verdict=failed if situation.api.outcome is Outcome.PROGRESSING else None,
    )


def route(situation: Situation[UnreadableSpec], retiring: frozenset[str]) -> Route:
    """Route requests to every ready replica. If none is left, they are refused with the reason."""
    return serving.route(_understood(situation), retiring)


def _understood(situation: Situation[UnreadableSpec]) -> Situation[ServingSpec]:
    target = stand_in(situation.api.name, situation.target_spec)
    return replace(cast("Situation[Any]", situation), target_spec=target, live_spec=None)


def stand_in(name: str, spec: UnreadableSpec) -> ServingSpec:
    """Return a specification with the fields that the gateway needs for running replicas, as far as readable.

    It is not validated: a specification that was valid when it was deployed keeps serving, even if the
    present rules would refuse it.
    """
    protocol = fields_of(spec.document.get("process")).get("protocol")
    return RealtimeSpec.model_construct(
        name=name,
        process=Process.model_construct(command=(), protocol="http2" if protocol == "http2" else "http1"),
        timeout=spec.request_timeout,
        idempotent=spec.document.get("idempotent") is True,
        autoscaling=Autoscaling(min_replicas=0),
        networking=Networking.model_construct(endpoint=spec.endpoint_path),
    )
