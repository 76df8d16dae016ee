"""The controller of the objects: observe → plan → act → report, one name at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gyrus.aio.backoff import Backoff
from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.aio.ticks import ticks
from gyrus.aio.workqueue import WorkQueue
from gyrus.contract.cluster import API_LABEL, MANAGER
from gyrus.contract.models import ModelFolder
from gyrus.contract.operator import ApiOwner
from gyrus.custom_resource.api_object import OWNER_LABEL, ApiObject, mirror
from gyrus.custom_resource.budgets import budget_name, needed_budget
from gyrus.custom_resource.download import DownloadFailed, PackageDownloads
from gyrus.custom_resource.objects import ApiObjects
from gyrus.custom_resource.plan import (
    DeleteApi,
    Deploy,
    Fetch,
    Mirror,
    ObjectStep,
    Refuse,
    RemoveMirror,
    Rest,
    plan,
)
from gyrus.custom_resource.status import ACCEPTED, Acceptance, change_of, status_of, was_refused
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import AlreadyExists, ObjectConflict, ObjectNotFound
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import (
    APIS,
    DISRUPTION_BUDGETS,
    DISRUPTION_BUDGETS_BETA,
    ResourceKind,
)
from gyrus.objects.errors import ObjectError
from gyrus.packaging.store import PackageStore
from gyrus.spec.api import ApiSpec, ModelSnapshot
from gyrus.state import status
from gyrus.state.board import Board
from gyrus.state.errors import Conflict, UnknownApi, UnknownPackage
from gyrus.state.events.recorder import EventRecorder
from gyrus.state.records import Api, Author, Event, Package
from gyrus.state.status import ApiObservation
from gyrus.state.store import Store

WORKERS = 8
RETRY = Backoff(0.5, 60.0)
RESYNC = 10.0
"""Seconds between two looks at every name: traffic changes without a signal."""
AGAIN = Backoff(5.0, 120.0)
"""Delays until a package is fetched again, or a manifest is tried again that the store refused."""
FETCHING = Acceptance(None, "FetchingPackage", "fetching the package")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """The last attempt to deploy a manifest."""

    uid: str
    generation: int
    acceptance: Acceptance
    count: int
    """Number of failed attempts with this specification."""
    retry_at: float
    """Seconds, by the monotonic clock."""


@dataclass(slots=True)
class ObjectController:
    """Deploys manifests, mirrors the APIs of the CLI, and reports the status of both."""

    client: ClusterClient
    namespace: str
    objects: ApiObjects
    packages: PackageStore
    models: Callable[[str], Awaitable[ModelFolder]]
    """Returns the objects that are at a place of models now. Raises ObjectError, ValueError."""
    store: Store
    board: Board
    events: EventRecorder
    clock: Clock
    gateway: Callable[[], str]
    """Returns the base URL of the endpoints."""
    queue: WorkQueue = field(init=False)
    _budget_kind: ResourceKind = DISRUPTION_BUDGETS
    _budgets: Reflector = field(init=False)
    _downloads: PackageDownloads = field(init=False)
    _failed: dict[str, FailedAttempt] = field(default_factory=dict[str, FailedAttempt])
    """By name."""

    def __post_init__(self) -> None:
        self.queue = WorkQueue(self.clock, backoff=RETRY)
        self._downloads = PackageDownloads(self.packages)

    async def run(self) -> None:
        """Work until cancelled."""
        self._budget_kind = await self._discovered()
        selected = f"{API_LABEL},app.kubernetes.io/managed-by={MANAGER}"
        budgets = Selection(resource=self._budget_kind, namespace=self.namespace, labels=selected)
        self._budgets = Reflector(self.client, budgets, self.clock)
        sources = {
            "objects": self.objects.reflector.changes,
            "intent": self.board.intent_signals,
            "replicas": self.board.replica_signals,
            "endpoints": self.board.acknowledged_signals,
        }
        async with asyncio.TaskGroup() as group:
            for name, signals in sources.items():
                group.create_task(self._listen(signals), name=f"objects: signals of {name}")
            group.create_task(self.objects.reflector.run(), name="watch of objects")
            group.create_task(self._budgets.run(), name="watch of budgets")
            await self.objects.reflector.listed()
            await self._budgets.listed()
            group.create_task(self._resync(), name="objects: resync")
            work = self.queue.run(WORKERS, self.reconcile, name="objects: reconcile")
            group.create_task(work, name="objects: reconcile")

    async def _discovered(self) -> ResourceKind:
        """Return the version of disruption budgets that the cluster has."""
        return DISRUPTION_BUDGETS if await self.client.has(DISRUPTION_BUDGETS) else DISRUPTION_BUDGETS_BETA

    async def _listen(self, signals: Signals) -> None:
        with signals.listen() as listener:
            async for names in listener:
                for name in names:
                    self.queue.add(name)

    async def _resync(self) -> None:
        async for _ in ticks(self.clock, RESYNC):
            for name in {*self.objects.known, *(api.name for api in await self.store.apis())}:
                self.queue.add(name)

    async def reconcile(self, name: str) -> float | None:
        """Take the next step for one name. Returns the seconds after which to take another, or None."""
        object = self.objects.find(name)
        if object is None:
            self._failed.pop(name, None)
        api = await self.store.api(name)
        latest = await self.store.latest_revision(name) if api else None
        step = plan(object, api, latest, self.packages.has)
        acceptance, again = await self._act(name, object, step)
        if not isinstance(step, Rest):
            api = await self.store.api(name)  # as the step has left it
        await self._protect(object, api)
        await self._report(object, api, acceptance)
        return again

    # Act

    async def _act(
        self, name: str, object: ApiObject | None, step: ObjectStep
    ) -> tuple[Acceptance, float | None]:
        """Take the step. Returns what became of the manifest, and when to try again."""
        failed = self._failed_attempt(object)
        if failed and isinstance(step, Fetch | Deploy) and (wait := self._wait(failed)) > 0:
            return failed.acceptance, wait
        match step:
            case Rest():
                return ACCEPTED, None
            case Mirror(kind):
                await self._mirror(name, kind, object)
                return ACCEPTED, None
            case RemoveMirror():
                await self._remove(object)
                return ACCEPTED, None
            case DeleteApi():
                await self._delete_api(name)
                return ACCEPTED, None
            case Refuse(reason, message):
                return Acceptance(False, reason, message), None
            case Fetch(url, digest):
                return await self._fetch(object, url, digest)
            case Deploy():
                return await self._deploy(name, object, step)

    async def _mirror(self, name: str, kind: str, object: ApiObject | None) -> None:
        if object is not None:
            await self.client.patch(APIS, name, {"spec": {"kind": kind}}, self.namespace)
            return
        with suppress(AlreadyExists):  # the watch shows it soon
            await self.client.create(mirror(name, self.namespace, kind))

    async def _remove(self, object: ApiObject | None) -> None:
        if object is not None:
            with suppress(ObjectNotFound, ObjectConflict):
                await self.client.delete(APIS, object.name, self.namespace, uid=object.uid)

    async def _delete_api(self, name: str) -> None:
        with suppress(UnknownApi):
            api = await self.store.mark_deleting(name, self.clock.now())
            self._record(api, "Deleted", "Deletion was requested: its manifest was deleted")

    async def _fetch(
        self, object: ApiObject | None, url: str, digest: str
    ) -> tuple[Acceptance, float | None]:
        assert object is not None
        failed = self._failed_attempt(object)
        present = failed.acceptance if failed else FETCHING
        await self._report(object, await self.store.api(object.name), present)
        try:
            size = await self._downloads.fetch(url, digest)
        except DownloadFailed as error:
            return self._fail(object, "PackageUnavailable", str(error))
        package = Package(digest=digest, size=size, uploaded_at=self.clock.now())
        await self.store.record_package(package)
        return FETCHING, 0.0

    async def _deploy(
        self, name: str, object: ApiObject | None, step: Deploy
    ) -> tuple[Acceptance, float | None]:
        assert object is not None
        now, by = self.clock.now(), Author(f"manifest {name}", ApiOwner.MANIFEST)
        try:
            spec = await self._with_models(step.spec)
        except (ObjectError, ValueError) as error:
            message = str(error) if isinstance(error, ObjectError) else f"{step.spec.models} {error}"
            return self._fail(object, "ModelsUnavailable", f"spec.handler.models: {message}")
        try:
            (change,) = await self.store.deploy([spec], step.package, now, by)
        except (Conflict, UnknownPackage) as error:
            return self._fail(object, "Refused", str(error))
        self._failed.pop(name, None)
        if object.labelled:
            label = {"metadata": {"labels": {OWNER_LABEL: None}}}
            await self.client.patch(APIS, name, label, self.namespace)
        if change.changed:
            number = change.api.target.revision
            self._record(change.api, "Deployed", f"Revision {number} deployed by its manifest")
        return ACCEPTED, None

    async def _with_models(self, spec: ApiSpec) -> ApiSpec:
        if spec.models is None:
            return spec.with_models(None)
        return spec.with_models(ModelSnapshot.of(await self.models(spec.models)))

    def _fail(self, object: ApiObject, reason: str, message: str) -> tuple[Acceptance, float]:
        before = self._failed_attempt(object)
        count = before.count if before else 0
        failed = FailedAttempt(
            uid=object.uid,
            generation=object.generation,
            acceptance=Acceptance(False, reason, message),
            count=count + 1,
            retry_at=self.clock.monotonic() + AGAIN.delay(count),
        )
        self._failed[object.name] = failed
        return failed.acceptance, self._wait(failed)

    def _failed_attempt(self, object: ApiObject | None) -> FailedAttempt | None:
        """Return the failed attempt with this very specification. Returns None if there was none."""
        failed = self._failed.get(object.name) if object else None
        same = failed and object and (failed.uid, failed.generation) == (object.uid, object.generation)
        return failed if same else None

    def _wait(self, failed: FailedAttempt) -> float:
        return failed.retry_at - self.clock.monotonic()

    def _record(self, api: Api, reason: str, message: str, type: str = "normal") -> None:
        self.board.intent_signals.notify(api.name)
        event = Event(api=api.name, time=self.clock.now(), type=type, reason=reason, message=message)
        self.events.record(event)

    async def _protect(self, object: ApiObject | None, api: Api | None) -> None:
        """Keep the API's disruption budget as it should be."""
        name = object.name if object else ""
        present = self._budgets.objects.get(budget_name(name))
        needed = needed_budget(self._budget_kind, self.namespace, object, api, present)
        if needed is not None:
            await self.client.apply(needed)

    # Report

    async def _report(self, object: ApiObject | None, api: Api | None, acceptance: Acceptance) -> None:
        if object is None or object.deleted:
            return
        own = api if api and (object.mirrors or api.owner is ApiOwner.MANIFEST) else None
        wanted = await self.store.revision(own.name, own.target.revision) if own else None
        view = None
        if own and wanted:
            view = status.view(own, wanted, ApiObservation.on(self.board, own.name), self.gateway())
        after = status_of(
            acceptance,
            view,
            own.outcome if own else None,
            owner=api.owner if api else ApiOwner.MANIFEST,
            generation=object.generation,
            before=object.status,
            now=self.clock.now(),
        )
        change = change_of(object.status, after)
        if not change:
            return
        if own and acceptance.accepted is False and not was_refused(object.status):
            message = acceptance.message.partition("\n")[0]
            self._record(own, acceptance.reason, f"The manifest is not deployed: {message}", "warning")
        with suppress(ObjectNotFound):
            await self.client.patch_status(APIS, object.name, change, self.namespace)
