"""Envoy's protobuf messages: from the JSON form to bytes, and the two messages of the stream.

``xds-protos`` ships no type stubs, so Protocols describe the fields that this package reads.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gyrus.routing.resources.kinds import MATCH, ROUTES, Json
from gyrus.routing.xds import additions

_MODULES = (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.config.route.v3.route_pb2",
    "envoy.extensions.access_loggers.file.v3.file_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.http.upstream_codec.v3.upstream_codec_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.load_balancing_policies.least_request.v3.least_request_pb2",
    "envoy.extensions.request_id.uuid.v3.uuid_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
    "envoy.service.discovery.v3.discovery_pb2",
    "envoy.service.load_stats.v3.lrs_pb2",
    "envoy.type.matcher.v3.http_inputs_pb2",
)
"""The modules of all types that resources name. The import of a module registers its messages."""


class RpcStatus(Protocol):
    @property
    def message(self) -> str: ...


class Node(Protocol):
    @property
    def id(self) -> str: ...


class DeltaRequest(Protocol):
    """A request from Envoy.

    It is a subscription, an acknowledgement (``response_nonce``), a refusal (with ``error_detail``), or
    several of them at once.
    """

    @property
    def node(self) -> Node:
        """The Envoy that sends it. Envoy names itself in the first request of a stream only."""
        ...

    @property
    def type_url(self) -> str: ...
    @property
    def response_nonce(self) -> str: ...
    @property
    def resource_names_subscribe(self) -> Iterable[str]: ...
    @property
    def resource_names_unsubscribe(self) -> Iterable[str]: ...
    @property
    def initial_resource_versions(self) -> Mapping[str, str]: ...
    @property
    def error_detail(self) -> RpcStatus: ...
    def HasField(self, field_name: str) -> bool: ...  # noqa: N802 (protobuf's name)


def message_class(name: str) -> type[Message]:
    """Return the class of the message with this full name."""
    return GetMessageClass(Default().FindMessageTypeByName(name))


for _module in _MODULES:
    importlib.import_module(_module)
additions.register()
_REQUEST = message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")
_ROUTES = message_class("envoy.config.route.v3.RouteConfiguration")
_MATCHER = message_class("xds.type.matcher.v3.Matcher")
_ON_MATCH = message_class("xds.type.matcher.v3.Matcher.OnMatch")
_MATCH_MAP = message_class("xds.type.matcher.v3.Matcher.MatcherTree.MatchMap")
_LENGTH_DELIMITED = 2
"""The wire type of strings, bytes and messages."""
_ANY = message_class("google.protobuf.Any")
_RESOURCE = message_class("envoy.service.discovery.v3.Resource")
_RESPONSE = message_class("envoy.service.discovery.v3.DeltaDiscoveryResponse")


def encode(type_url: str, value: Json) -> bytes:
    """Encode the JSON form of a message of this type. Equal values give equal bytes.

    Raises ``google.protobuf.json_format.ParseError`` if the value is not of the type.
    """
    message = json_format.ParseDict(value, message_class(type_url.rpartition("/")[2])())
    if type_url in (MATCH, ROUTES):
        additions.choose_again(message)
    # Deterministic, because a resource's version is the digest of its bytes. By default, maps have no order.
    return message.SerializeToString(deterministic=True)


def encode_plain(type_url: str, value: Json) -> bytes:
    """Encode a value as :func:`encode` does, to the same bytes in a twelfth of the time.

    The value must hold no ``Any`` and no duration. Raises TypeError or ValueError if it is not of the type.
    """
    message = message_class(type_url.rpartition("/")[2])(**value)
    return message.SerializeToString(deterministic=True)


def encode_table_entry(key: str, entry: bytes) -> bytes:
    """Encode an entry of one of the route table's two trees. ``entry`` is an encoded ``OnMatch``."""
    pair: Any = cast(Any, _MATCH_MAP.DESCRIPTOR).fields_by_name["map"]
    fields = pair.message_type.fields_by_name
    body = b"".join([*_field(fields["key"], [key.encode()]), *_field(fields["value"], [entry])])
    return b"".join(_field(pair, [body]))


@dataclass(frozen=True, slots=True)
class TableFrame:
    """A route configuration without the entries of its trees, read from its JSON form once."""

    message: Any = field(repr=False)
    encoded: bytes

    @classmethod
    def of(cls, value: Json) -> TableFrame:
        """Read the JSON form. Raises what :func:`encode` does."""
        message = json_format.ParseDict(value, _ROUTES())
        return cls(message, message.SerializeToString(deterministic=True))


def encode_table(
    frame: TableFrame, by_path: Mapping[str, bytes], by_name: Mapping[str, bytes]
) -> list[bytes]:
    """Encode a route configuration with these entries in the two trees of its one host, in parts.

    The trees apply if no matcher of the host's list does.

    Each entry is a result of :func:`encode_table_entry`, by its key. A tree without entries is left out,
    because Envoy refuses an empty one.

    Protobuf would take three times as long for the whole table. A message's encoding contains those of its
    parts, so the entries need not be read again.
    """
    table: Any = _ROUTES()
    table.CopyFrom(frame.message)
    host = table.virtual_hosts[0]
    guarded = host.matcher
    trees = _trees(guarded.on_no_match.matcher, by_path, by_name)
    host.ClearField("matcher")
    guarded.ClearField("on_no_match")
    otherwise = _within(_ON_MATCH(), "matcher", trees) if trees else []
    matcher = _within(guarded, "on_no_match", otherwise) if otherwise else [_whole(guarded)]
    body = _within(host, "matcher", matcher) if any(matcher) else [_whole(host)]
    table.ClearField("virtual_hosts")
    return _within(table, "virtual_hosts", body)


def _trees(named: Any, by_path: Mapping[str, bytes], by_name: Mapping[str, bytes]) -> list[bytes]:
    """Encode the matcher with the two trees. Returns nothing if they have no entry."""
    if not by_path:
        return []
    paths = _tree(named.on_no_match.matcher.matcher_tree, "prefix_match_map", by_path)
    if not by_name:
        return paths
    on_no_match = _within(_ON_MATCH(), "matcher", paths)
    names = _tree(named.matcher_tree, "exact_match_map", by_name)
    return [*names, *_within(_MATCHER(), "on_no_match", on_no_match)]


def _whole(message: Any) -> bytes:
    return message.SerializeToString(deterministic=True)


def _tree(tree: Any, kind: str, entries: Mapping[str, bytes]) -> list[bytes]:
    """Encode a matcher that has only this tree, with these entries as its map."""
    tree.ClearField(kind)
    # Sorted, because a resource's version is the digest of its bytes.
    body = _within(tree, kind, [entries[key] for key in sorted(entries)])
    return _within(_MATCHER(), "matcher_tree", body)


def _within(message: Any, name: str, parts: Sequence[bytes]) -> list[bytes]:
    """Encode a message that lacks the field of this name, with the parts of the field's encoding in it."""
    field = message.DESCRIPTOR.fields_by_name[name]
    before, after = type(message)(), type(message)()
    before.CopyFrom(message)
    after.CopyFrom(message)
    for other, _ in message.ListFields():
        (before if other.number > field.number else after).ClearField(other.name)
    ends = (each.SerializeToString(deterministic=True) for each in (before, after))
    return [next(ends), *_field(field, parts), next(ends)]


def _field(field: Any, parts: Sequence[bytes]) -> list[bytes]:
    """Return the encoding of a field with these bytes, in parts: its tag, its length, and the bytes."""
    return [_varint(field.number << 3 | _LENGTH_DELIMITED), _varint(sum(map(len, parts))), *parts]


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)


def read_request(data: bytes) -> DeltaRequest:
    return cast(DeltaRequest, _REQUEST.FromString(data))


def write_response(
    type_url: str, nonce: str, resources: Iterable[tuple[str, str, Sequence[bytes]]], removed: Iterable[str]
) -> bytes:
    """Encode a response with these resources: name, version, body in parts.

    The bodies are copied once. In protobuf's messages they would be copied three times, and the route table
    has megabytes.
    """
    response = _RESPONSE(type_url=type_url, nonce=nonce, removed_resources=list(removed))
    packed = _ANY(type_url=type_url)
    parts = [response.SerializeToString()]
    for name, version, body in resources:
        value = _followed(packed, "value", body)
        resource = _followed(_RESOURCE(name=name, version=version), "resource", value)
        parts += _field(_fields(response)["resources"], resource)
    return b"".join(parts)


def _followed(message: Message, name: str, parts: Sequence[bytes]) -> list[bytes]:
    """Encode a message, and after it the field of this name. Readers accept fields in any order."""
    return [message.SerializeToString(), *_field(_fields(message)[name], parts)]


def _fields(message: Message) -> Mapping[str, Any]:
    return cast(Any, message.DESCRIPTOR).fields_by_name
