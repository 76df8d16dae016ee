"""The object storage of Kubernetes' API server in memory, under the real client.

It has what clients rely on: resource versions, watches that resume, 409 and 410, generations, a status apart
from the rest, and the end of objects whose owner ends. It has no controllers and checks no fields.
"""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx2

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.configuration import ClusterConnection
from gyrus.kubernetes.resources import APIS, DISRUPTION_BUDGETS, Manifest, ResourceKind, name_of, version_of

SERVED = (APIS, DISRUPTION_BUDGETS)
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<part>status|eviction))?"
)
_DISCOVERY = re.compile(r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>v[^/]+)")
_MERGING = ("application/merge-patch+json", "application/apply-patch+yaml")

Key = tuple[str, str, str]
"""Plural, namespace and name."""


class Refusal(Exception):
    """An answer that is an error, with the ``Status`` in its body."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"kind": "Status", "code": code, "reason": reason, "message": message}


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A change of an object, for watches."""

    version: int
    key: Key
    event: Manifest


@dataclass(slots=True)
class ApiServer(httpx2.AsyncBaseTransport):
    """Answers the requests of clients."""

    served: tuple[ResourceKind, ...] = SERVED
    objects: dict[Key, Manifest] = field(default_factory=dict[Key, Manifest])
    requests: list[str] = field(default_factory=list[str])
    """Method and path of each request that changes something."""
    refusals: dict[tuple[str, str], list[Refusal]] = field(
        default_factory=dict[tuple[str, str], list[Refusal]]
    )
    """By method and plural: the answers to the next requests."""
    _history: list[Occurrence] = field(default_factory=list[Occurrence])
    _forgotten: int = 0
    """The newest version whose change no watch can begin before."""
    _versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _version: int = 0
    _uids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _watches: set[asyncio.Queue[Occurrence | None]] = field(
        default_factory=set[asyncio.Queue[Occurrence | None]]
    )

    def client(self) -> ClusterClient:
        http = httpx2.AsyncClient(transport=self, base_url="https://cluster")
        return ClusterClient(ClusterConnection(http, "https://cluster", "test", "default"))

    # What a test does

    def put(self, resource: ResourceKind, manifest: Manifest) -> Manifest:
        """Create or change an object as kubectl apply does."""
        namespace, name = manifest["metadata"].get("namespace", ""), name_of(manifest)
        key = (resource.plural, namespace, name)
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
        return self._change(key, typed) if key in self.objects else self._create(key, typed)

    def remove(self, resource: ResourceKind, name: str, namespace: str = "") -> None:
        self._delete((resource.plural, namespace, name))

    def find(self, resource: ResourceKind, name: str, namespace: str = "") -> Manifest | None:
        return self.objects.get((resource.plural, namespace, name))

    def refuse(self, method: str, resource: ResourceKind, *answers: Refusal) -> None:
        """Refuse the next requests of this method for this resource."""
        self.refusals.setdefault((method, resource.plural), []).extend(answers)

    @property
    def watched(self) -> bool:
        """True while a client watches."""
        return bool(self._watches)

    def end_watches(self) -> None:
        for watch in self._watches:
            watch.put_nowait(None)

    def forget_history(self) -> None:
        """Answer watches from a version before now with 410, as after a compaction."""
        self._forgotten = self._version
        self._history.clear()

    # Requests

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(0)
        try:
            return await self._answer(request)
        except Refusal as refusal:
            return httpx2.Response(refusal.code, json=refusal.status, request=request)

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        path, query = request.url.path, request.url.params
        if found := _DISCOVERY.fullmatch(path):
            return _ok(self._discovered(found["group"] or "", found["version"]))
        found = _PATH.fullmatch(path)
        assert found, path
        plural, namespace, name = found["plural"], found["namespace"] or "", found["name"]
        self._check(request.method, found["group"] or "", found["version"], plural)
        body: Manifest = json.loads(await request.aread() or b"{}")
        if request.method != "GET":
            self.requests.append(f"{request.method} {path}")
        if query.get("watch") == "true":
            return httpx2.Response(200, stream=self._watch(plural, namespace, dict(query)))
        if name is None and request.method == "GET":
            return _ok(self._list(plural, namespace, query.get("labelSelector", "")))
        key = (plural, namespace, name or name_of(body))
        if found["part"] == "eviction":
            return _ok(self._delete(key))
        return _ok(self._act(request, key, body, status=bool(found["part"])))

    def _act(self, request: httpx2.Request, key: Key, body: Manifest, *, status: bool) -> Manifest:
        match request.method:
            case "POST":
                if key in self.objects:
                    raise Refusal(409, "AlreadyExists", f'{key[0]} "{key[2]}" already exists')
                return self._create(key, body)
            case "PATCH":
                kind = request.headers["content-type"]
                assert kind in _MERGING, kind
                if key not in self.objects and kind == _MERGING[1]:
                    return self._create(key, body)
                return self._change(key, body, status=status)
            case "PUT":
                if version_of(body) != version_of(self._present(key)):
                    raise Refusal(409, "Conflict", "the object has been modified")
                return self._change(key, body)
            case "DELETE":
                uid = body.get("preconditions", {}).get("uid")
                if uid not in (None, self._present(key)["metadata"]["uid"]):
                    raise Refusal(409, "Conflict", "the UID in the precondition does not match")
                return self._delete(key)
            case _:
                return self._present(key)

    def _check(self, method: str, group: str, version: str, plural: str) -> None:
        known = (group, version, plural) in ((r.group, r.version, r.plural) for r in self.served)
        if not known:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if waiting := self.refusals.get((method, plural)):
            raise waiting.pop(0)

    def _discovered(self, group: str, version: str) -> Manifest:
        found = [{"name": r.plural} for r in self.served if (r.group, r.version) == (group, version)]
        if not found:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        return {"resources": found}

    def _list(self, plural: str, namespace: str, labels: str) -> Manifest:
        items = [
            copy.deepcopy(item)
            for (kind, place, _), item in self.objects.items()
            if kind == plural and namespace in ("", place) and _selected(item, labels)
        ]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    def _watch(self, plural: str, namespace: str, query: Mapping[str, str]) -> httpx2.AsyncByteStream:
        since = int(query["resourceVersion"])
        if since < self._forgotten:
            raise Refusal(410, "Expired", f"too old resource version: {since} ({self._forgotten})")
        queue = asyncio.Queue[Occurrence | None]()
        for occurrence in self._history:
            queue.put_nowait(occurrence)
        self._watches.add(queue)

        async def lines() -> AsyncGenerator[bytes]:
            try:
                while occurrence := await queue.get():
                    kind, place, _ = occurrence.key
                    fits = kind == plural and namespace in ("", place)
                    labels = query.get("labelSelector", "")
                    if fits and occurrence.version > since and _selected(occurrence.event["object"], labels):
                        yield json.dumps(occurrence.event).encode() + b"\n"
            finally:
                self._watches.discard(queue)

        return _Lines(lines())

    # Objects

    def _present(self, key: Key) -> Manifest:
        if key not in self.objects:
            raise Refusal(404, "NotFound", f'{key[0]} "{key[2]}" not found')
        return self.objects[key]

    def _create(self, key: Key, body: Manifest) -> Manifest:
        metadata = {**body["metadata"], "uid": str(next(self._uids)), "generation": 1}
        return self._store("ADDED", key, {**body, "metadata": metadata})

    def _change(self, key: Key, change: Manifest, *, status: bool = False) -> Manifest:
        before = self._present(key)
        own = {"status"} if status else change.keys() - {"status"}
        after = _merged(before, {name: value for name, value in change.items() if name in own})
        if after == before:
            return before
        if after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"]["generation"] + 1
        return self._store("MODIFIED", key, after)

    def _delete(self, key: Key) -> Manifest:
        gone = self._present(key)
        del self.objects[key]
        self._notify("DELETED", key, gone)
        uid = gone["metadata"]["uid"]
        for other, item in tuple(self.objects.items()):
            if uid in [owner["uid"] for owner in item["metadata"].get("ownerReferences", ())]:
                self._delete(other)
        return gone

    def _store(self, type: str, key: Key, manifest: Manifest) -> Manifest:
        self.objects[key] = copy.deepcopy(manifest)
        self._notify(type, key, self.objects[key])
        return copy.deepcopy(self.objects[key])

    def _notify(self, type: str, key: Key, manifest: Manifest) -> None:
        self._version = next(self._versions)
        manifest["metadata"]["resourceVersion"] = str(self._version)
        occurrence = Occurrence(self._version, key, {"type": type, "object": copy.deepcopy(manifest)})
        self._history.append(occurrence)
        for watch in self._watches:
            watch.put_nowait(occurrence)


class _Lines(httpx2.AsyncByteStream):
    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        self._lines = lines

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for line in self._lines:
            yield line

    async def aclose(self) -> None:
        await self._lines.aclose()


def _ok(body: Manifest) -> httpx2.Response:
    return httpx2.Response(200, json=body)


def _merged(before: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with a merge patch applied (RFC 7386): None removes a field, a list is replaced."""
    after = copy.deepcopy(dict(before))
    for name, value in change.items():
        if value is None:
            after.pop(name, None)
        elif isinstance(value, dict) and isinstance(after.get(name), dict):
            inner, changed = cast(Manifest, after[name]), cast(Manifest, value)
            after[name] = _merged(inner, changed)
        else:
            after[name] = copy.deepcopy(cast(object, value))
    return after


def _selected(item: Manifest, labels: str) -> bool:
    """Return whether an object has these labels. Knows ``a`` and ``a=b``."""
    present: Mapping[str, str] = item["metadata"].get("labels") or {}
    for term in filter(None, labels.split(",")):
        name, equal, value = term.partition("=")
        if name not in present or (equal and present[name] != value):
            return False
    return True
