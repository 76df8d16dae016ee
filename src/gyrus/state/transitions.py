"""What each write makes of an API's record. Pure: every store applies the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gyrus.contract.operator import Cause, Outcome
from gyrus.spec.api import ApiSpec
from gyrus.state.errors import Conflict, StaleVersion
from gyrus.state.records import Api, Generation, Revision, Rollout


def create(spec: ApiSpec, at: datetime) -> Api:
    """A new API, on the way to its first revision."""
    return Api(
        name=spec.name,
        kind=spec.kind,
        version=1,
        target=Generation(number=1, revision=1, cause=Cause.DEPLOY, started_at=at),
        live=None,
        outcome=Outcome.PROGRESSING,
        message="",
        replicas=spec.initial_replicas,
        deleting=False,
        created_at=at,
        updated_at=at,
    )


def snapshot(spec: ApiSpec, number: int, package: str | None, at: datetime) -> Revision:
    return Revision(
        api=spec.name,
        number=number,
        digest=spec.digest(package),
        spec=spec,
        package=package,
        created_at=at,
    )


def readable_spec(revision: Revision) -> ApiSpec:
    """The specification of a revision that a rollout may begin of. Raises Conflict."""
    if isinstance(revision.spec, ApiSpec):
        return revision.spec
    raise Conflict(revision.fault)


def begin(api: Api, number: int, revision: Revision, cause: Cause, at: datetime) -> Api:
    """Start moving to a revision by a new generation of this number. Raises Conflict if it is unreadable."""
    spec = readable_spec(revision)
    return replace(
        api,
        kind=spec.kind,
        version=api.version + 1,
        target=Generation(number=number, revision=revision.number, cause=cause, started_at=at),
        outcome=Outcome.PROGRESSING,
        message="",
        replicas=spec.bounded_replicas(api.replicas),
        updated_at=at,
    )


def end(api: Api, outcome: Outcome, message: str, at: datetime) -> Api:
    """The rollout is over: done, the target is live; failed, the last live one is the target again.

    A first rollout that failed may still be done later: it has nothing to fall back to, and stays the target.
    """
    if outcome not in (Outcome.DONE, Outcome.FAILED):
        raise ValueError(f"a rollout ends as done or failed, not as {outcome}")
    if not (api.outcome is Outcome.PROGRESSING or target_failed(api)):
        raise StaleVersion(f"The rollout of {api.name} has ended already ({api.outcome}).")
    return replace(
        api,
        version=api.version + 1,
        target=api.target if outcome is Outcome.DONE else api.live or api.target,
        live=api.target if outcome is Outcome.DONE else api.live,
        outcome=outcome,
        message=message,
        updated_at=at,
    )


def scale(api: Api, replicas: int, at: datetime) -> Api:
    return replace(api, version=api.version + 1, replicas=replicas, updated_at=at)


def delete(api: Api, at: datetime) -> Api:
    """Idempotent: one that is being deleted stays as it is."""
    return api if api.deleting else replace(api, version=api.version + 1, deleting=True, updated_at=at)


def is_wanted(api: Api, latest: Revision, spec: ApiSpec, package: str | None) -> bool:
    """Whether a deploy of this would begin what has been begun, or is done, already."""
    return latest.has(spec, package) and latest.number == api.target.revision and not target_failed(api)


def target_failed(api: Api) -> bool:
    """The target's own rollout has failed: there was nothing to fall back to."""
    return api.outcome is Outcome.FAILED and api.live != api.target


def is_proven(api: Api) -> bool:
    """Its target has been live: how it ends is no open question."""
    return api.outcome is not Outcome.PROGRESSING and not target_failed(api)


def rollback_revision(api: Api, rollouts: Sequence[Rollout], to: int | None) -> int:
    """The number of the revision to roll back to; ``rollouts`` are newest first."""
    if to is not None:
        if to == api.target.revision and not target_failed(api):
            raise Conflict(f"Revision {to} of {api.name} is what is wanted already.")
        return to
    for rollout in rollouts:
        if rollout.outcome is Outcome.DONE and rollout.generation.revision != api.target.revision:
            return rollout.generation.revision
    raise Conflict(
        f"{api.name} has nothing to roll back to: no revision but {api.target.revision} has ever been live."
    )


def require_kept(api: Api) -> None:
    if api.deleting:
        raise Conflict(f"{api.name} is being deleted; try again when `gyrus get` no longer shows it.")


def require_same(current: Api, read: Api) -> None:
    """Nobody has written since ``read`` was read. One that was deleted and made anew is another."""
    if (current.version, current.created_at) != (read.version, read.created_at):
        raise StaleVersion(
            f"{read.name} has changed meanwhile (version {current.version}, decided upon {read.version})."
        )


def require_deleting(api: Api) -> None:
    if not api.deleting:
        raise Conflict(f"{api.name} is not being deleted.")


def endpoint_taken(spec: ApiSpec, owner: str) -> str:
    return (
        f"{spec.name} cannot have the endpoint {spec.endpoint_path}: {owner} has it; "
        "choose another networking.endpoint."
    )
