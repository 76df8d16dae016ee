"""The effect of each write on an API's record. Pure: every store applies the same transitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gyrus.contract.operator import ApiOwner, Cause, Outcome
from gyrus.spec.api import ApiSpec
from gyrus.state.errors import Conflict, StaleVersion
from gyrus.state.records import UNNAMED, Api, Author, Generation, Revision, Rollout, Token


def create(spec: ApiSpec, at: datetime, by: Author = UNNAMED) -> Api:
    """Return a new API whose first rollout is progressing."""
    return Api(
        name=spec.name,
        kind=spec.kind,
        version=1,
        target=Generation(number=1, revision=1, cause=Cause.DEPLOY, started_at=at, started_by=by.name),
        live=None,
        outcome=Outcome.PROGRESSING,
        message="",
        replicas=spec.initial_replicas,
        deleting=False,
        created_at=at,
        updated_at=at,
        owner=by.owner,
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


def token_taken(token: Token) -> str:
    """Return the message for a token whose name is taken."""
    return (
        f"There is a token named {token.name} already. Choose another name, or revoke it first: "
        f"gyrus token revoke {token.name}"
    )


def readable_spec(revision: Revision) -> ApiSpec:
    """Return the specification of a revision. Raises Conflict if it cannot be read."""
    if isinstance(revision.spec, ApiSpec):
        return revision.spec
    raise Conflict(revision.fault)


def begin(api: Api, number: int, revision: Revision, cause: Cause, at: datetime, by: Author = UNNAMED) -> Api:
    """Begin a rollout of this revision, by a generation of this number. Raises Conflict if unreadable."""
    spec = readable_spec(revision)
    return replace(
        api,
        kind=spec.kind,
        version=api.version + 1,
        target=Generation(
            number=number, revision=revision.number, cause=cause, started_at=at, started_by=by.name
        ),
        outcome=Outcome.PROGRESSING,
        message="",
        replicas=spec.bounded_replicas(api.replicas),
        updated_at=at,
    )


def end(api: Api, outcome: Outcome, message: str) -> Api:
    """End the rollout. If done, the target is live. If failed, the last live generation is the target again.

    A first rollout that failed may still be done later: it has nothing to fall back to, and stays the target.
    """
    if outcome not in (Outcome.DONE, Outcome.FAILED):
        raise ValueError(f"a rollout ends as done or failed, not as {outcome}")
    if not (api.outcome is Outcome.PROGRESSING or target_failed(api)):
        raise StaleVersion(f"The rollout of {api.name} has ended already ({api.outcome}).")
    return replace(
        api,
        version=api.version + 1,
        # Without a live generation, a failed target stays: see target_failed.
        target=api.target if outcome is Outcome.DONE else api.live or api.target,
        live=api.target if outcome is Outcome.DONE else api.live,
        outcome=outcome,
        message=message,
    )


def scale(api: Api, replicas: int) -> Api:
    return replace(api, version=api.version + 1, replicas=replicas)


def delete(api: Api, at: datetime) -> Api:
    """Mark the API for deletion. Idempotent: it returns an API that is being deleted unchanged."""
    return api if api.deleting else replace(api, version=api.version + 1, deleting=True, updated_at=at)


def is_wanted(api: Api, latest: Revision, spec: ApiSpec, package: str | None) -> bool:
    """Return True if a rollout of this specification and package has begun, or is done, already."""
    return latest.has(spec, package) and latest.number == api.target.revision and not target_failed(api)


def target_failed(api: Api) -> bool:
    """Return True if the target's own rollout has failed, with no live generation to fall back to.

    After a fallback, the outcome is FAILED too, but the target is the live generation and has not failed.
    """
    return api.outcome is Outcome.FAILED and api.live != api.target


def is_proven(api: Api) -> bool:
    """Return True if the target has been live, so that its rollout has ended."""
    return api.outcome is not Outcome.PROGRESSING and not target_failed(api)


def rollback_revision(api: Api, rollouts: Sequence[Rollout], to: int | None) -> int:
    """Return the number of the revision to roll back to. ``rollouts`` are newest first. Raises Conflict."""
    if to is not None:
        if to == api.target.revision and not target_failed(api):
            raise Conflict(f"Revision {to} of {api.name} is already the target.")
        return to
    lived = [rollout.generation.revision for rollout in rollouts if rollout.outcome is Outcome.DONE]
    earlier = next((revision for revision in lived if revision != api.target.revision), None)
    if earlier is not None:
        return earlier
    which = f"no revision but {api.target.revision}" if lived else "no revision"
    raise Conflict(f"{api.name} has nothing to roll back to: {which} has ever been live.")


def require_kept(api: Api) -> None:
    if api.deleting:
        raise Conflict(f"{api.name} is being deleted; try again when `gyrus get` no longer shows it.")


def require_owner(api: Api, owner: ApiOwner) -> None:
    """Raise Conflict if something else deployed the API."""
    if api.owner is owner:
        return
    if api.owner is ApiOwner.MANIFEST:
        raise Conflict(
            f"A manifest deployed {api.name}. Change the manifest and apply it again, or delete its object "
            f"(kubectl delete apis.gyrus.dev {api.name}), which deletes the API."
        )
    raise Conflict(
        f"`gyrus deploy` deployed {api.name}. Delete that API first (gyrus delete {api.name}), "
        "or give the manifest another name."
    )


def require_same(current: Api, read: Api) -> None:
    """Raise StaleVersion if the record was written since ``read`` was read.

    The time of creation is compared too: an API that was deleted and created again starts at version 1.
    """
    if (current.version, current.created_at) != (read.version, read.created_at):
        raise StaleVersion(
            f"{read.name} has changed since it was read (from version {read.version} to {current.version})."
        )


def require_deleting(api: Api) -> None:
    if not api.deleting:
        raise Conflict(f"{api.name} is not being deleted.")


def endpoint_taken(spec: ApiSpec, owner: str) -> str:
    return (
        f"{spec.name} cannot have the endpoint {spec.endpoint_path}: {owner} has it. "
        "Choose another networking.endpoint."
    )
