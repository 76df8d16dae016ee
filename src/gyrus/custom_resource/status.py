"""The status of an object: what ``gyrus get`` shows, and conditions that tools such as Argo CD and Flux read.

``Accepted`` is True once the specification is deployed. ``Ready`` is True while the API serves that
specification as it should. ``Reconciling`` is True while a rollout is under way, and ``Stalled`` while only a
change of the manifest helps. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from gyrus.contract.operator import ApiOwner, ApiView, Outcome, Status
from gyrus.kubernetes.resources import Manifest

LONGEST = 32_000
"""Characters of a condition's message. Kubernetes' own conditions allow 32,768."""
SHOWN = ("status", "revision", "endpoint", "in_flight", "message", "owner")
"""Fields of a view that the status has under the same name."""
REFUSED = "refused"
"""``status`` of a manifest that was never deployed."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The fate of a manifest. ``accepted``: None while its package is being fetched."""

    accepted: bool | None = True
    reason: str = "Accepted"
    message: str = "The specification is deployed"
    """Never empty: Kubernetes 1.20 refuses an empty text in a typed field."""


ACCEPTED = Acceptance()
SETTLED = ("Settled", "Nothing is under way")
"""Reason and message of a condition that is not the case."""


def status_of(
    acceptance: Acceptance,
    view: ApiView | None,
    outcome: Outcome | None,
    *,
    owner: ApiOwner = ApiOwner.MANIFEST,
    generation: int,
    before: Mapping[str, Any],
    now: datetime,
) -> Manifest:
    """Return the whole status of an object.

    ``view``, ``outcome``: those of the API that the object owns or mirrors; None: there is none.
    ``owner``: that of the API. ``generation``: the object's. ``before``: its status until now.
    """
    status: Manifest = {"observedGeneration": generation}
    if view is not None:
        status |= {name: value for name in SHOWN if (value := _plain(getattr(view, name))) != ""}
        status["replicas"] = asdict(view.replicas)
    elif acceptance.accepted is False:
        status |= {"status": REFUSED, "owner": str(owner)}
    else:
        status |= {"status": str(Status.CREATING), "owner": str(owner)}
    if acceptance.accepted is not True:
        status["message"] = acceptance.message
    conditions = _conditions(acceptance, view, outcome)
    earlier: Sequence[Mapping[str, Any]] = before.get("conditions") or ()
    status["conditions"] = [_dated(condition, generation, earlier, now) for condition in conditions]
    return status


def change_of(before: Mapping[str, Any], after: Manifest) -> Manifest:
    """Return the merge patch from one status to the next: fields that are gone are removed."""
    return dict.fromkeys(before.keys() - after.keys()) | {
        key: value for key, value in after.items() if before.get(key) != value
    }


def was_refused(status: Mapping[str, Any]) -> bool:
    """Return True if this status reports a manifest that is not deployed."""
    conditions: Sequence[Mapping[str, Any]] = status.get("conditions") or ()
    return any(c.get("type") == "Accepted" and c.get("status") == "False" for c in conditions)


def _conditions(acceptance: Acceptance, view: ApiView | None, outcome: Outcome | None) -> list[Manifest]:
    accepted = acceptance.accepted
    failed = outcome is Outcome.FAILED
    under_way = accepted is None or (view is not None and view.status in (Status.CREATING, Status.UPDATING))
    stalled = accepted is False or failed
    ready, reason, message = _readiness(acceptance, view, failed=failed)
    progress = (reason, message) if under_way and not stalled else SETTLED
    return [
        _condition("Accepted", accepted, acceptance.reason, acceptance.message),
        _condition("Ready", ready, reason, message),
        _condition("Reconciling", under_way and not stalled, *progress),
        _condition("Stalled", stalled, *((reason, message) if stalled else SETTLED)),
    ]


def _readiness(acceptance: Acceptance, view: ApiView | None, *, failed: bool) -> tuple[bool, str, str]:
    if acceptance.accepted is not True:
        return False, acceptance.reason, acceptance.message
    if view is None:
        return False, "Creating", "The API is about to be created"
    if failed:
        return False, "RolloutFailed", view.message or "The rollout failed"
    message = view.message or f"The API is {view.status}"
    return view.status in (Status.LIVE, Status.IDLE), view.status.value.capitalize(), message


def _condition(type: str, status: bool | None, reason: str, message: str) -> Manifest:
    value = "Unknown" if status is None else str(status)
    return {"type": type, "status": value, "reason": reason, "message": message[:LONGEST]}


def _dated(
    condition: Manifest, generation: int, earlier: Sequence[Mapping[str, Any]], now: datetime
) -> Manifest:
    """Return the condition with the time since which its status holds, and the generation it is about."""
    same = next((c for c in earlier if c.get("type") == condition["type"]), None)
    since = same.get("lastTransitionTime") if same and same.get("status") == condition["status"] else None
    return condition | {"observedGeneration": generation, "lastTransitionTime": since or _seconds(now)}


def _seconds(now: datetime) -> str:
    """Return the time as Kubernetes writes its times: to the second."""
    return f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, str) else value
