"""The next step for one name: what follows from its object and its API. Pure.

::

    object      API            step
    none        none           nothing
    none        of the CLI     create a mirror
    none        of a manifest  delete the API: its manifest was deleted
    mirror      none           delete the mirror
    mirror      of the CLI     nothing, or correct the mirror's kind
    mirror      of a manifest  delete the API: its manifest was deleted
    manifest    none           fetch the package, then deploy; or refuse
    manifest    of the CLI     refuse
    manifest    of a manifest  fetch and deploy if the manifest has changed; or refuse
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyrus.contract.operator import ApiOwner
from gyrus.custom_resource.api_object import ApiObject
from gyrus.custom_resource.declaration import Declaration, Faults, PackageSource, read_declaration
from gyrus.spec.api import ApiSpec
from gyrus.state import transitions
from gyrus.state.errors import Conflict
from gyrus.state.records import Api, Revision

INVALID = "InvalidSpec"
OTHER_OWNER = "OtherOwner"
DELETING = "EarlierApiDeleting"
NO_PACKAGE = "PackageMissing"


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing has to be done."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Create the mirror of an API of the CLI, or correct it."""

    kind: str


@dataclass(frozen=True, slots=True)
class RemoveMirror:
    """Delete the mirror of an API that is gone."""


@dataclass(frozen=True, slots=True)
class DeleteApi:
    """Delete the API, because its manifest was deleted."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Report why the manifest is not deployed."""

    reason: str
    """One CamelCase word, stable."""
    message: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Download the package."""

    url: str
    digest: str


@dataclass(frozen=True, slots=True)
class Deploy:
    """Deploy the manifest's specification."""

    spec: ApiSpec
    package: str | None
    """Digest of its files. None if it has none."""


ObjectStep = Rest | Mirror | RemoveMirror | DeleteApi | Refuse | Fetch | Deploy


def plan(
    object: ApiObject | None, api: Api | None, latest: Revision | None, has_package: Callable[[str], bool]
) -> ObjectStep:
    """Decide the next step.

    ``latest``: the API's newest revision. ``has_package``: returns True if the package with this digest is
    stored.
    """
    if object is None or object.deleted or (object.mirrors and api is not None):
        return _without_manifest(object, api)
    if object.mirrors:
        return RemoveMirror()
    return _with_manifest(object, api, latest, has_package)


def _without_manifest(object: ApiObject | None, api: Api | None) -> ObjectStep:
    if api is None or api.deleting:
        return Rest()
    if api.owner is ApiOwner.MANIFEST:
        return DeleteApi()
    if object is None or (not object.deleted and object.spec.get("kind") != api.kind):
        return Mirror(api.kind)
    return Rest()


def _with_manifest(
    object: ApiObject, api: Api | None, latest: Revision | None, has_package: Callable[[str], bool]
) -> ObjectStep:
    declaration = read_declaration(object.name, object.spec)
    if api is not None and (refusal := _other_owner(api)):
        return refusal
    if isinstance(declaration, Faults):
        return Refuse(INVALID, str(declaration))
    if api is not None and api.deleting:
        return Refuse(DELETING, f"An earlier API {api.name} is being deleted. The manifest is deployed next.")
    return _deploy(declaration, latest, has_package)


def _other_owner(api: Api) -> Refuse | None:
    try:
        transitions.require_owner(api, ApiOwner.MANIFEST)
    except Conflict as conflict:
        return Refuse(OTHER_OWNER, str(conflict))
    return None


def _deploy(
    declaration: Declaration, latest: Revision | None, has_package: Callable[[str], bool]
) -> ObjectStep:
    """Deploy what differs from the newest revision, even if that is not live.

    A manifest whose rollout failed is not deployed again until it changes.
    """
    source, digest = declaration.package, declaration.package.digest if declaration.package else None
    if latest is not None and latest.has(_with_models(declaration.spec, latest), digest):
        return Rest()
    if source is None or has_package(source.digest):
        return Deploy(declaration.spec, digest)
    return _fetch(source)


def _with_models(spec: ApiSpec, latest: Revision) -> ApiSpec:
    """Return the specification with the models of the newest revision: changed objects deploy nothing."""
    return spec.with_models_of(latest.spec) if isinstance(latest.spec, ApiSpec) else spec


def _fetch(source: PackageSource) -> ObjectStep:
    if source.url is not None:
        return Fetch(source.url, source.digest)
    return Refuse(
        NO_PACKAGE,
        f"spec.package: the package {source.digest} has not been uploaded, or was removed; upload it with "
        "`gyrus package push`, or name its url",
    )
