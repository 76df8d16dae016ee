"""Changes of an API's replicas between two observations, and of their number, as events for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain

from gyrus.autoscaling.policy import Decision
from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.operator import ForkServerView, Outcome
from gyrus.contract.replica import FAILING, Phase, ProcessStatus, Reason, ReplicaStatus
from gyrus.control.verdict import Verdict
from gyrus.state.board import Replica
from gyrus.state.records import Api, Event

NORMAL = "normal"
WARNING = "warning"


def replica_events(
    api: str, before: Sequence[Replica], after: Sequence[Replica], now: datetime
) -> Iterator[Event]:
    """Yield the events of replicas that were started, became ready, failed, restarted, drain or ended."""
    earlier = {replica.id: replica.status for replica in before}
    evacuated = {replica.id: replica.evacuation for replica in before}
    for replica in after:
        replica_id, status_before = replica.id, earlier.pop(replica.id, None)
        is_evicted = replica.status.reason is Reason.EVICTED
        if replica.evacuation and replica.evacuation != evacuated.get(replica_id) and not is_evicted:
            message = f"Replica {replica_id} is being replaced: {replica.evacuation}"
            yield Event(
                api=api, time=now, type=NORMAL, reason="Evacuating", message=message, replica=replica_id
            )
        if status_before == replica.status:
            continue
        changes = (
            _changes(status_before, replica),
            _process_changes(status_before, replica.status),
            _poisoned(status_before, replica.status),
        )
        for kind, reason, message in chain.from_iterable(changes):
            yield Event(api=api, time=now, type=kind, reason=reason, message=message, replica=replica_id)
    for replica_id in earlier:
        message = f"Replica {replica_id} ended"
        yield Event(api=api, time=now, type=NORMAL, reason="ReplicaGone", message=message, replica=replica_id)


def _changes(before: ReplicaStatus | None, replica: Replica) -> Iterator[tuple[str, str, str]]:
    status = replica.status
    if before is None:
        yield NORMAL, "ReplicaStarted", f"Replica {status.id} of revision {status.revision} was started"
    if before and before.phase is Phase.BACKOFF and status.phase in (Phase.STARTING, Phase.READY):
        yield NORMAL, "ReplicaRestarted", f"Replica {status.id} was restarted ({status.restarts} so far)"
    if before and before.phase is status.phase and before.reason is status.reason:
        return
    if status.phase is Phase.READY and status.reason is Reason.EVICTED:
        yield WARNING, str(status.reason), f"Replica {status.id} is being replaced: {status.message}"
    match status.phase:
        case Phase.READY if before is None or before.phase is not Phase.READY:
            cold = f"; it started cold: {status.cold_because}" if status.cold_because else ""
            yield NORMAL, "ReplicaReady", f"Replica {status.id} is ready{cold}"
        case Phase.READY if status.reason is Reason.ORDER:
            yield WARNING, str(status.reason), f"Replica {status.id}: {status.message}"
        case Phase.FAILED | Phase.BACKOFF | Phase.UNREADY:
            yield WARNING, str(status.reason or "ReplicaFailed"), f"Replica {status.id}: {status.message}"
        case Phase.PENDING if status.reason is Reason.CAPACITY:
            yield WARNING, str(status.reason), f"Replica {status.id} is {status.message}"
        case Phase.SUCCEEDED:
            yield NORMAL, "ReplicaSucceeded", f"Replica {status.id} has ended by itself"
        case Phase.GONE if status.reason and not (before and before.reason is status.reason):
            yield WARNING, str(status.reason), f"Replica {status.id} ended: {status.message}"
        case Phase.DRAINING if status.reason is Reason.EVICTED:
            yield WARNING, str(status.reason), f"Replica {status.id} is ending: {status.message}"
        case Phase.DRAINING:
            yield NORMAL, "ReplicaDraining", f"Replica {status.id} is finishing its requests"
        case _:
            pass


def _process_changes(before: ReplicaStatus | None, status: ReplicaStatus) -> Iterator[tuple[str, str, str]]:
    """Yield changes of single processes. The replica's phase hides them: it is ready while one process is."""
    if not before or before.phase is not Phase.READY or status.phase is not Phase.READY:
        return
    for old, new in zip(before.processes, status.processes, strict=False):
        name = f"Process {new.index} of replica {status.id}"
        if new.phase in FAILING and (new.phase, new.reason) != (old.phase, old.reason):
            yield WARNING, str(new.reason or "ProcessFailed"), f"{name}: {new.message}"
        elif new.phase is Phase.READY and _came_back(old, new):
            yield NORMAL, "ProcessReady", f"{name} is ready again (restarts so far: {new.restarts})"


def _poisoned(before: ReplicaStatus | None, status: ReplicaStatus) -> Iterator[tuple[str, str, str]]:
    """Yield the requests that the replica has refused since then."""
    known = before.poisoned if before else ()
    for request in status.poisoned:
        if request not in known:
            message = f"Request {request.id} took down 2 workers. No other worker starts it"
            yield WARNING, "PoisonedRequest", message


def _came_back(old: ProcessStatus, new: ProcessStatus) -> bool:
    """Return True if the process is ready after trouble. A first start is no event.

    A restart can be too quick for its phases to be observed, so the number of restarts counts too.
    """
    after_trouble = old.phase is Phase.UNREADY or (old.phase is not Phase.READY and new.restarts > 0)
    return after_trouble or new.restarts > old.restarts


def preemption_event(api: str, replica: str, now: datetime) -> Event:
    """Return the event of an old replica that stops before its replacement is ready."""
    message = f"Stopping replica {replica} first: no capacity to run its replacement alongside it"
    return Event(api=api, time=now, type=NORMAL, reason="MadeRoom", message=message, replica=replica)


def fork_server_event(
    api: str, before: ForkServerView | None, after: ForkServerView | None, now: datetime
) -> Event | None:
    """Return an event if required warm starts have just proved impossible, else None."""
    if after is None or after.phase is not ForkServerPhase.IMPOSSIBLE or after == before:
        return None
    message = f"Replicas start cold: {after.because}"
    return Event(api=api, time=now, type=WARNING, reason="ColdStarts", message=message)


def verdict_event(api: Api, verdict: Verdict, now: datetime) -> Event:
    """Return the event of a rollout's end."""
    revision = api.target.revision
    if verdict.outcome is Outcome.DONE:
        message = f"Revision {revision} is live"
        return Event(api=api.name, time=now, type=NORMAL, reason="RolloutDone", message=message)
    rest = f" Revision {api.live.revision} goes on serving." if api.live else ""
    message = verdict.message.partition("\n")[0] + rest
    return Event(api=api.name, time=now, type=WARNING, reason="RolloutFailed", message=message)


def scaled_event(api: str, decision: Decision, now: datetime) -> Event:
    """Return the event of a new number of replicas. Its second line has the inputs of the decision."""
    reason = "ScaledUp" if decision.replicas > decision.was else "ScaledDown"
    inputs = ", ".join(f"{name} {value:.3g}" for name, value in decision.inputs.items())
    summary = f"Scaled from {decision.was} to {decision.replicas}: {decision}{_cause(decision)}"
    message = f"{summary}\n{inputs}".rstrip()
    return Event(api=api, time=now, type=NORMAL, reason=reason, message=message)


def _cause(decision: Decision) -> str:
    """Return the traffic behind a decision that no rule has bound. Returns an empty text for others."""
    average = decision.inputs.get("average")
    if decision.because or average is None:
        return ""
    if decision.replicas == 0:
        return ": no requests in flight"
    return f": {decision.inputs.get('in_flight', average):.3g} in flight now, {average:.3g} on average"


def shortage_event(api: str, decision: Decision, now: datetime) -> Event:
    """Return the event of traffic that requires more replicas than there is capacity for."""
    message = f"No capacity for more replicas: {decision}"
    return Event(api=api, time=now, type=WARNING, reason="NoCapacity", message=message)
