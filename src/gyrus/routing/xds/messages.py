"""Envoy's protobuf messages: from the JSON form to bytes, and the two messages of the stream.

``xds-protos`` ships no type stubs, so Protocols describe the fields that this package reads.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, cast

from google.protobuf import json_format
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from gyrus.routing.resources.kinds import Json

_MODULES = (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.config.route.v3.route_pb2",
    "envoy.extensions.access_loggers.file.v3.file_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.load_balancing_policies.least_request.v3.least_request_pb2",
    "envoy.extensions.request_id.uuid.v3.uuid_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
    "envoy.service.discovery.v3.discovery_pb2",
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


def _message_class(name: str) -> type[Message]:
    return GetMessageClass(Default().FindMessageTypeByName(name))


for _module in _MODULES:
    importlib.import_module(_module)
_REQUEST = _message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")
_ROUTES = _message_class("envoy.config.route.v3.RouteConfiguration")
_RESPONSE = _message_class("envoy.service.discovery.v3.DeltaDiscoveryResponse")


def encode(type_url: str, value: Json) -> bytes:
    """Encode the JSON form of a message of this type. Equal values give equal bytes.

    Raises ``google.protobuf.json_format.ParseError`` if the value is not of the type.
    """
    message = json_format.ParseDict(value, _message_class(type_url.rpartition("/")[2])())
    # Deterministic, because a resource's version is the digest of its bytes. By default, maps have no order.
    return message.SerializeToString(deterministic=True)


def encode_plain(type_url: str, value: Json) -> bytes:
    """Encode a value as :func:`encode` does, to the same bytes in a twelfth of the time.

    The value must hold no ``Any`` and no duration. Raises TypeError or ValueError if it is not of the type.
    """
    message = _message_class(type_url.rpartition("/")[2])(**value)
    return message.SerializeToString(deterministic=True)


def encode_table(value: Json, by_path: Mapping[str, bytes], by_name: Mapping[str, bytes]) -> bytes:
    """Encode a route configuration with these entries in the two trees of its one host.

    Each entry is an encoded ``OnMatch``. A tree without entries is left out, because Envoy refuses an empty
    one.
    """
    table: Any = json_format.ParseDict(value, _ROUTES())
    host = table.virtual_hosts[0]
    if not by_path:
        host.ClearField("matcher")
        return table.SerializeToString(deterministic=True)
    if not by_name:
        only_paths = type(host.matcher)()
        only_paths.CopyFrom(host.matcher.on_no_match.matcher)
        host.matcher.CopyFrom(only_paths)
    paths = host.matcher.on_no_match.matcher if by_name else host.matcher
    for path, entry in by_path.items():
        paths.matcher_tree.prefix_match_map.map[path].MergeFromString(entry)
    for name, entry in by_name.items():
        host.matcher.matcher_tree.exact_match_map.map[name].MergeFromString(entry)
    return table.SerializeToString(deterministic=True)


def read_request(data: bytes) -> DeltaRequest:
    return cast(DeltaRequest, _REQUEST.FromString(data))


def write_response(
    type_url: str, nonce: str, resources: Iterable[tuple[str, str, bytes]], removed: Iterable[str]
) -> bytes:
    """Encode a response with these resources: name, version, body."""
    message: Any = _RESPONSE(type_url=type_url, nonce=nonce, removed_resources=list(removed))
    for name, version, body in resources:
        added = message.resources.add(name=name, version=version)
        added.resource.type_url = type_url
        added.resource.value = body
    return message.SerializeToString()
