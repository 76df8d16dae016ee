"""The encoding of resources and of the route table's entries, some of it ahead of the snapshot that needs it.

Encoding the parts of one API takes about a millisecond, so a snapshot of many changed APIs would hold the
event loop for the sum. Its builder therefore encodes their parts ahead, with pauses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gyrus.routing.resources import clusters, endpoints, routes
from gyrus.routing.resources.kinds import CLUSTER, ENDPOINTS, MATCH
from gyrus.routing.settings import GatewaySettings
from gyrus.routing.xds.messages import (
    TableFrame,
    encode,
    encode_plain,
    encode_table,
    encode_table_entry,
)
from gyrus.state.board import Endpoints, Pool, Route


@dataclass(frozen=True, slots=True)
class XdsResource:
    """One resource, encoded once. Its version stands for its content."""

    name: str
    version: str
    _encode: Callable[[], Sequence[bytes]] = field(repr=False, compare=False)

    @classmethod
    def of(cls, name: str, body: bytes) -> XdsResource:
        return cls(name, hashlib.sha256(body).hexdigest()[:16], lambda: (body,))

    @property
    def body(self) -> bytes:
        return b"".join(self._encode())

    @property
    def parts(self) -> Sequence[bytes]:
        """The encoded content in parts. A route table has too many megabytes to join them twice."""
        return self._encode()


@dataclass(frozen=True, slots=True)
class TableEntry:
    """One entry of the route table, encoded once, and the digest of its bytes."""

    digest: bytes
    body: bytes = field(repr=False)


class Encoder:
    """Encodes the parts of a snapshot. It remembers all of them, by their content, until :meth:`forget`.

    So a second request for the same part, by the snapshot itself, costs almost nothing.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._resources: dict[tuple[object, ...], XdsResource] = {}
        self._entries: dict[tuple[object, ...], TableEntry] = {}
        self._frames: dict[str, TableFrame] = {}
        self.encoded = 0
        """Number of parts that were encoded."""

    def cluster(self, pool: Pool) -> XdsResource:
        def body() -> bytes:
            return encode(CLUSTER, clusters.cluster(pool, across_machines=self._settings.across_machines))

        return self._resource(pool.id, CLUSTER, pool.protocol, pool.runtime_answers, body=body)

    def assignment(self, cluster: str, wanted: Endpoints) -> XdsResource:
        def body() -> bytes:
            return encode_plain(ENDPOINTS, endpoints.assignment(cluster, wanted, self._settings.stand_ins))

        return self._resource(cluster, ENDPOINTS, wanted, body=body)

    def table(
        self, name: str, by_path: Mapping[str, TableEntry], by_name: Mapping[str, TableEntry]
    ) -> XdsResource:
        """Join a route table of this name.

        Its version is a digest of the entries' digests: that of its megabytes would take milliseconds.
        """
        if (frame := self._frames.get(name)) is None:
            frame = self._frames[name] = TableFrame.of(routes.table(self._settings, name))
        trees = [{key: tree[key] for key in sorted(tree)} for tree in (by_path, by_name)]

        def body() -> Sequence[bytes]:
            return encode_table(frame, *({key: one.body for key, one in tree.items()} for tree in trees))

        digests = [entry.digest for tree in trees for entry in tree.values()]
        version = hashlib.sha256(b"".join([frame.encoded, *digests]))
        return XdsResource(name, version.hexdigest()[:16], body)

    def entry(self, route: Route, outer: Sequence[Route]) -> TableEntry:
        """Encode the route table's entry for the route's path, with those of the paths around it."""

        def value() -> bytes:
            entry = encode(MATCH, routes.entry(route, self._settings, outer))
            return encode_table_entry(route.path, entry)

        return self._entry("path", match_of(route), *(match_of(one) for one in outer), value=value)

    def called(self, route: Route) -> TableEntry:
        """Encode the route table's entry for the API's name in a header."""

        def value() -> bytes:
            return encode_table_entry(route.api, encode(MATCH, routes.called(route, self._settings)))

        return self._entry("name", match_of(route), value=value)

    def forget(self) -> None:
        """Drop what was encoded ahead."""
        self._resources.clear()
        self._entries.clear()

    def _resource(self, name: str, *content: object, body: Callable[[], bytes]) -> XdsResource:
        if (known := self._resources.get((name, *content))) is None:
            self.encoded += 1
            known = self._resources[(name, *content)] = XdsResource.of(name, body())
        return known

    def _entry(self, *content: object, value: Callable[[], bytes]) -> TableEntry:
        if (known := self._entries.get(content)) is None:
            self.encoded += 1
            body = value()
            known = self._entries[content] = TableEntry(hashlib.sha256(body).digest(), body)
        return known


def match_of(route: Route) -> tuple[object, ...]:
    """Return the parts of a route that the route table depends on."""
    weights = tuple((share.pool.id, share.weight, share.pool.runtime_answers) for share in route.routed)
    limits = (route.timeout, route.idempotent, route.max_body, route.cors)
    return (route.api, route.path, limits, speaks_http2(route), weights)


def speaks_http2(route: Route) -> bool:
    return any(share.pool.protocol == "http2" for share in route.routed)
