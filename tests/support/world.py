"""A world small enough to explore: one API, its replicas and a gateway, moved one event at a time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gyrus.contract.operator import Cause, Outcome
from gyrus.contract.replica import Phase, ProcessStatus, Reason, ReplicaStatus
from gyrus.control.plan import Plan, plan
from gyrus.control.situation import Situation, all_endpoints
from gyrus.spec.realtime import RealtimeSpec
from gyrus.state.board import ByPool, Endpoints, Replica, pool_id
from gyrus.state.records import Api, Generation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACTIVATOR = "unix:/run/activator.sock"


def spec(**changes: object) -> RealtimeSpec:
    return RealtimeSpec.model_validate({"name": "iris", "handler": {"path": "handler.py"}, **changes})


def generation(number: int) -> Generation:
    return Generation(number=number, revision=number, cause=Cause.DEPLOY, started_at=NOW)


def api(target: int = 1, live: int | None = None, replicas: int = 1, **changes: object) -> Api:
    made = Api(
        name="iris",
        kind="RealtimeAPI",
        version=1,
        target=generation(target),
        live=generation(live) if live else None,
        outcome=Outcome.PROGRESSING,
        message="",
        replicas=replicas,
        deleting=False,
        created_at=NOW,
        updated_at=NOW,
    )
    return dataclasses.replace(made, **changes)  # pyright: ignore[reportArgumentType] (a test's shorthand)


def replica(
    id: str, generation: int = 1, phase: Phase = Phase.READY, reason: Reason | None = None, **changes: object
) -> Replica:
    endpoint = f"unix:/run/{id}.0.sock"
    process = ProcessStatus(index=0, phase=phase, endpoint=endpoint)
    status = ReplicaStatus(
        id=id,
        api="iris",
        revision=generation,
        phase=phase,
        reason=reason,
        endpoints=(endpoint,) if phase is Phase.READY else (),
        processes=(process,),
        started_at=NOW.timestamp(),
    )
    status = dataclasses.replace(status, **changes)  # pyright: ignore[reportArgumentType] (as above)
    return Replica(status=status, generation=generation)


def in_any(pools: ByPool | None) -> Endpoints:
    return frozenset[str]().union(*(pools or {}).values())


@dataclass
class World:
    """Applies plans as the reconciler does, and remembers what was broken on the way."""

    api: Api
    spec: RealtimeSpec
    replicas: dict[str, Replica] = field(default_factory=dict[str, Replica])
    retiring: frozenset[str] = frozenset()
    routed: ByPool | None = None
    """What control has put on the board, by pool."""
    pushed: ByPool | None = None
    """The last push to the gateway's Envoy."""
    acknowledged: ByPool | None = None
    """What Envoy has confirmed."""
    refused: str = ""
    """What the gateway refuses of the target."""
    held: int = 0
    places: int | None = None
    """Replicas for which there is capacity; the others wait."""
    forgotten: bool = False
    started: int = 0

    def situation(self) -> Situation[RealtimeSpec]:
        return Situation(
            api=self.api,
            target_spec=self.spec,
            live_spec=self.spec if self.api.live else None,
            replicas=tuple(self.replicas.values()),
            retiring=self.retiring & self.replicas.keys(),
            acknowledged=self.acknowledged or {},
            reachable=self.reachable,
            activator=ACTIVATOR,
            refused=self.refused,
            held=self.held,
            capacity=self.places,
        )

    @property
    def reachable(self) -> Endpoints:
        return in_any(self.pushed) | in_any(self.acknowledged)

    def available(self) -> int:
        situation = self.situation()
        return sum(situation.available(replica) for replica in situation.kept)

    def reconcile(self) -> Plan:
        step = plan(self.situation(), NOW)
        self.routed = {pool.id: pool.endpoints for pool in step.route.pools} if step.route else None
        self.retiring = step.retiring
        live = [self.api.live.number] * step.revive if self.api.live else []
        for number in [*live, *[self.api.target.number] * step.start]:
            self.started += 1
            name = f"r{self.started}"
            self.replicas[name] = replica(name, number, Phase.PENDING, Reason.CAPACITY)
        self._find_places()
        for name in step.stop:
            self._stop(name)
        if step.verdict:
            self._finish(step.verdict.outcome, step.verdict.message)
        self.forgotten = step.forget
        return step

    def _find_places(self) -> None:
        waiting = [name for name, r in self.replicas.items() if r.status.reason is Reason.CAPACITY]
        free = len(waiting) if self.places is None else self.places - (len(self.replicas) - len(waiting))
        for name in waiting[: max(0, free)]:
            self.become(name, Phase.STARTING)

    def _stop(self, name: str) -> None:
        used = all_endpoints(self.replicas[name].status) & (self.reachable | in_any(self.routed))
        assert not used, f"{name} was stopped while requests could reach {used}"
        pool = pool_id("iris", self.replicas[name].generation)
        for known in (self.pushed, self.acknowledged):
            assert not known or known.get(pool, {ACTIVATOR}), f"what {name} requeues has nowhere to go"
        self.become(name, Phase.DRAINING)

    def _finish(self, outcome: Outcome, message: str) -> None:
        done = outcome is Outcome.DONE
        target = self.api.target if done or not self.api.live else self.api.live
        live = self.api.target if done else self.api.live
        self.api = dataclasses.replace(
            self.api, outcome=outcome, message=message, target=target, live=live, version=self.api.version + 1
        )

    def become(self, name: str, phase: Phase, reason: Reason | None = None, restarts: int = 0) -> None:
        old = self.replicas[name]
        changed = replica(name, old.generation, phase, reason, restarts=restarts)
        self.replicas[name] = dataclasses.replace(changed, evacuation=old.evacuation)

    def evacuate(self, *names: str) -> None:
        """Drain the nodes of these replicas."""
        for name in names:
            self.replicas[name] = dataclasses.replace(self.replicas[name], evacuation="node a is cordoned")

    def push(self) -> None:
        self.pushed = self.routed

    def acknowledge(self) -> None:
        """Let Envoy confirm the last push."""
        self.acknowledged = self.pushed

    def catch_up(self) -> None:
        """The gateway does all that was put on the board."""
        self.push()
        self.acknowledge()

    def in_phase(self, *phases: Phase) -> list[str]:
        return [name for name, r in self.replicas.items() if r.status.phase in phases]

    def end_one(self, name: str) -> None:
        del self.replicas[name]
        self._find_places()

    def settle(self, rounds: int = 200) -> None:
        """Everything that can happen happens, without faults, until nothing changes any more."""
        for _ in range(rounds):
            before = (self.api, dict(self.replicas), self.routed, self.acknowledged, self.forgotten)
            for name in self.in_phase(Phase.STARTING, Phase.BACKOFF):
                self.become(name, Phase.READY)
            for name in self.in_phase(Phase.DRAINING):
                self.end_one(name)
            self.reconcile()
            self.catch_up()
            if before == (self.api, self.replicas, self.routed, self.acknowledged, self.forgotten):
                return
        raise AssertionError("the world does not settle")
