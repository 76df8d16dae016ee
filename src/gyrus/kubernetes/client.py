"""Requests to a cluster: JSON in, JSON out, and typed errors."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Any, Literal

import httpx2
import msgspec

from gyrus.kubernetes.configuration import ClusterConnection
from gyrus.kubernetes.errors import (
    KubernetesError,
    ObjectNotFound,
    ServerFailure,
    UnprovenCluster,
    Unreachable,
    error_of,
)
from gyrus.kubernetes.resources import (
    PODS,
    Manifest,
    ResourceKind,
    name_of,
    namespace_of,
    resource_of,
    version_of,
)

MANAGER = "gyrus"
"""Field manager of every write."""
PAGE = 500
"""Objects in one response to a list."""
WATCH_SECONDS = 60
"""Seconds after which the server ends a watch, and the next one begins. A connection that hangs is noticed
this long after, at the latest."""
_SLACK = 15.0
"""Seconds beyond the end of a watch after which its connection counts as lost."""
_STREAMED = 30.0
"""Seconds for the server to answer a request for logs."""

Propagation = Literal["Background", "Foreground", "Orphan"]


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """No change: only ``object.metadata.resourceVersion`` counts."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: EventType
    object: Manifest


@dataclass(frozen=True, slots=True)
class Listed:
    items: tuple[Manifest, ...]
    version: str
    """The resource version from which a watch sees all later changes."""


class ClusterClient:
    """One cluster. Requests may run at the same time, and each can be cancelled."""

    def __init__(self, connection: ClusterConnection) -> None:
        self._http = connection.http
        self.address = connection.address
        self.context = connection.context
        self.namespace = connection.namespace

    async def __aenter__(self) -> ClusterClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    # Reading

    async def get(self, resource: ResourceKind, name: str, namespace: str | None = None) -> Manifest:
        """Return an object. Raises ObjectNotFound, KubernetesError."""
        return await self._json("GET", resource.path(namespace, name))

    async def find(self, resource: ResourceKind, name: str, namespace: str | None = None) -> Manifest | None:
        """Return an object. Returns None if there is none. Raises KubernetesError."""
        try:
            return await self.get(resource, name, namespace)
        except ObjectNotFound:
            return None

    async def list(
        self, resource: ResourceKind, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Listed:
        """Return all objects. ``namespace``: None means all. ``labels``, ``fields``: selectors.

        Raises VersionGone if it takes so long that the cluster forgets the state it began with. Raises
        KubernetesError.
        """
        items: list[Manifest] = []
        query = _selected(labels, fields) | {"limit": str(PAGE)}
        while True:
            page = await self._json("GET", resource.path(namespace), query)
            # The items of a list have neither apiVersion nor kind.
            items += ({"apiVersion": resource.api_version, "kind": resource.kind, **i} for i in page["items"])
            if not (more := page["metadata"].get("continue")):
                return Listed(tuple(items), version_of(page))
            query["continue"] = more

    async def watch(
        self,
        resource: ResourceKind,
        namespace: str | None = None,
        *,
        version: str,
        labels: str = "",
        fields: str = "",
        seconds: int = WATCH_SECONDS,
    ) -> AsyncGenerator[WatchEvent]:
        """Yield the changes since a resource version, for some seconds; then the caller watches again.

        Iterate within :func:`contextlib.aclosing`, so that the connection is closed at once.

        Raises VersionGone if the version is too old: list again. Raises KubernetesError.
        """
        query = _selected(labels, fields) | {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(seconds),
        }
        timeout = httpx2.Timeout(10.0, read=seconds + _SLACK)
        async with self._stream(resource.path(namespace), query, timeout) as response:
            async for line in response.aiter_lines():
                if line:
                    yield _event(line)

    async def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        follow: bool = False,
        previous: bool = False,
        tail: int | None = None,
        since: str | None = None,
    ) -> AsyncGenerator[str]:
        """Yield a container's output, line by line, each with its time before it.

        Iterate within :func:`contextlib.aclosing`, so that the connection is closed at once.

        ``since``: a time in RFC 3339. ``previous``: the output before the container's last restart.

        Raises ObjectNotFound, ObjectInvalid (the container has not started), KubernetesError.
        """
        query = {"timestamps": "true"}
        if container:
            query["container"] = container
        if follow:
            query["follow"] = "true"
        if previous:
            query["previous"] = "true"
        if tail is not None:
            query["tailLines"] = str(tail)
        if since:
            query["sinceTime"] = since
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        timeout = httpx2.Timeout(_STREAMED, read=None if follow else _STREAMED)
        async with self._stream(path, query, timeout) as response:
            rest = b""
            async for data in response.aiter_bytes():
                # Not aiter_lines: it also ends lines at characters that a line of output may contain.
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
            if rest:
                yield rest.decode(errors="replace")

    async def answer_of(self, pod: str, namespace: str, port: int, path: str) -> str:
        """Return a pod's answer to a GET, whatever its status, by way of the cluster's API.

        Raises KubernetesError if the cluster does not let these credentials, or cannot reach the pod.
        """
        full = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}"
        with self._failures():
            response = await self._http.request("GET", full)
        if response.is_error and "json" in response.headers.get("content-type", ""):
            raise _error(response)  # of the cluster itself
        return response.text

    # Writing

    async def create(self, manifest: Manifest, *, dry_run: bool = False) -> Manifest:
        """Create an object; return it as stored. Raises KubernetesError."""
        path = resource_of(manifest).path(namespace_of(manifest))
        return await self._json("POST", path, _written(dry_run), manifest)

    async def apply(self, manifest: Manifest, *, force: bool = True, dry_run: bool = False) -> Manifest:
        """Create the object, or change the fields that the manifest names (server-side apply).

        Fields of earlier manifests that this one lacks are removed. ``force``: take fields over that
        another manager owns; else raises Conflict. Raises ObjectInvalid, ObjectRefused, KubernetesError.
        """
        path = resource_of(manifest).path(namespace_of(manifest), name_of(manifest))
        query = _written(dry_run) | {"force": "true" if force else "false"}
        return await self._json("PATCH", path, query, manifest, kind="application/apply-patch+yaml")

    async def patch(
        self,
        resource: ResourceKind,
        name: str,
        change: Mapping[str, Any],
        namespace: str | None = None,
        *,
        subresource: str = "",
    ) -> Manifest:
        """Merge a change into an object; None removes a field. Raises ObjectNotFound, KubernetesError."""
        path = resource.path(namespace, name, subresource)
        return await self._json("PATCH", path, _written(False), change, kind="application/merge-patch+json")

    async def patch_status(
        self, resource: ResourceKind, name: str, status: Mapping[str, Any], namespace: str | None = None
    ) -> Manifest:
        """Merge a change into an object's status. Raises ObjectNotFound, KubernetesError."""
        return await self.patch(resource, name, {"status": status}, namespace, subresource="status")

    async def replace(self, manifest: Manifest) -> Manifest:
        """Replace an object. Raises ObjectConflict if its resource version is not the present one."""
        path = resource_of(manifest).path(namespace_of(manifest), name_of(manifest))
        return await self._json("PUT", path, _written(False), manifest)

    async def delete(
        self,
        resource: ResourceKind,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        propagation: Propagation | None = None,
        uid: str | None = None,
    ) -> Manifest:
        """Delete an object, and return it, or a ``Status``. It may exist for a while.

        ``grace``: seconds for a pod to end; None means its own. ``uid``: delete only this object, not a
        later one of the same name; else raises Conflict. Raises ObjectNotFound, KubernetesError.
        """
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation:
            options["propagationPolicy"] = propagation
        if uid:
            options["preconditions"] = {"uid": uid}
        return await self._json("DELETE", resource.path(namespace, name), {}, options)

    async def evict(self, pod: str, namespace: str, *, version: str = "policy/v1") -> None:
        """Delete a pod unless a disruption budget forbids it: then raises TooManyRequests.

        ``version``: of the cluster's kind Eviction. Raises ObjectNotFound, KubernetesError.
        """
        eviction = {
            "apiVersion": version,
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        await self._json("POST", PODS.path(namespace, pod, "eviction"), {}, eviction)

    # Discovery

    async def server_version(self) -> tuple[int, int]:
        """Return the version of Kubernetes, as ``(1, 31)``. Raises KubernetesError."""
        version = await self._json("GET", "/version")
        return int(version["major"]), int("".join(filter(str.isdigit, version["minor"])))

    async def has(self, resource: ResourceKind) -> bool:
        """Return True if the cluster knows this version of this kind. Raises KubernetesError."""
        group = resource.path().rsplit("/", 1)[0]
        try:
            found = await self._json("GET", group)
        except ObjectNotFound:
            return False
        return any(each["name"] == resource.plural for each in found["resources"])

    async def may(self, verb: str, resource: ResourceKind, namespace: str | None = None) -> bool:
        """Return True if these credentials have the right. Raises KubernetesError."""
        attributes = {"verb": verb, "group": resource.group, "resource": resource.plural}
        if namespace:
            attributes["namespace"] = namespace
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self._json("POST", path, {}, review)
        return bool(answer["status"]["allowed"])

    # Implementation

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        kind: str = "application/json",
    ) -> Manifest:
        headers = {"accept": "application/json"}
        content = None
        if body is not None:
            headers["content-type"] = kind
            content = msgspec.json.encode(body)
        with self._failures():
            response = await self._http.request(method, path, params=query, content=content, headers=headers)
        if response.is_error:
            raise _error(response)
        return _decoded(response.content)

    @asynccontextmanager
    async def _stream(
        self, path: str, query: Mapping[str, str], timeout: httpx2.Timeout
    ) -> AsyncGenerator[httpx2.Response]:
        with self._failures():
            async with self._http.stream("GET", path, params=query, timeout=timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise _error(response)
                yield response

    @contextmanager
    def _failures(self) -> Generator[None]:
        try:
            yield
        except httpx2.TimeoutException as error:
            raise Unreachable(self.address, "no answer in time") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            if refused := _refused_certificate(error):
                raise UnprovenCluster(self.address, refused.verify_message) from error
            raise Unreachable(self.address, " ".join(str(error).split()) or type(error).__name__) from error


def _refused_certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """Return the failed check of the server's certificate that caused an error. Returns None if none did."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _selected(labels: str, fields: str) -> dict[str, str]:
    query: dict[str, str] = {}
    if labels:
        query["labelSelector"] = labels
    if fields:
        query["fieldSelector"] = fields
    return query


def _written(dry_run: bool) -> dict[str, str]:
    return {"fieldManager": MANAGER} | ({"dryRun": "All"} if dry_run else {})


def _event(line: str) -> WatchEvent:
    """Return the event of a line. Raises the error that the line reports instead of one."""
    document = _decoded(line.encode())
    kind, object = document["type"], document["object"]
    if kind == "ERROR":
        raise error_of(int(object.get("code") or 500), object)
    return WatchEvent(EventType(kind), object)


def _error(response: httpx2.Response) -> KubernetesError:
    try:
        status = _decoded(response.content)
    except ServerFailure:  # not from the API server, but from a proxy before it
        status = {"message": response.text.strip()[:500]}
    return error_of(response.status_code, status, retry_after=_retry_after(response))


def _retry_after(response: httpx2.Response) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else 1.0


def _decoded(content: bytes) -> Manifest:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ServerFailure(f"The cluster's answer is not JSON: {error}") from error
