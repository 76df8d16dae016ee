"""Parts of Envoy 1.40's messages that the published ``xds-protos`` lack.

``xds-protos`` follows Envoy's releases late. A missing message is registered here. A missing field of a
message that exists is written as bytes that Envoy's own definition reads.
"""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_GROUPS = "envoy.extensions.router.cluster_specifiers.priority_group.v3"
_REFRESH_ON_RETRY = b"\x70\x01"
"""``refresh_cluster_on_retry`` (field 14 of a RetryPolicy, a boolean), set to true."""
_ROUTE_LIST = "envoy.config.route.v3.RouteList"
_ROUTE_ACTION = "envoy.config.route.v3.RouteAction"


def register() -> None:
    """Register the messages that are missing. Idempotent."""
    try:
        Default().FindMessageTypeByName(f"{_GROUPS}.PriorityGroupClusterSpecifier")
    except KeyError:
        Default().AddSerializedFile(_priority_groups().SerializeToString())


def _priority_groups() -> FileDescriptorProto:
    """Describe the message with which a route chooses its cluster by the number of the try."""
    weight = _message("ClusterWeight", {"cluster_name": "", "weight": "google.protobuf.UInt32Value"})
    group = _message("PriorityGroup", {"name": "", "clusters": f"{_GROUPS}.ClusterWeight"})
    groups = _message("PriorityGroupClusterSpecifier", {"priority_groups": f"{_GROUPS}.PriorityGroup"})
    for repeated in (group.field[1], groups.field[0]):
        repeated.label = FieldDescriptorProto.LABEL_REPEATED
    return FileDescriptorProto(
        name="gyrus/priority_group.proto",
        package=_GROUPS,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
        message_type=[weight, group, groups],
    )


def _message(name: str, fields: dict[str, str]) -> DescriptorProto:
    """Describe a message. ``fields``: the type of each, in the order of their numbers; empty for a text."""
    described = [_field(field, number, of) for number, (field, of) in enumerate(fields.items(), 1)]
    return DescriptorProto(name=name, field=described)


def _field(name: str, number: int, of: str) -> FieldDescriptorProto:
    field = FieldDescriptorProto(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
    if of:
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{of}"
    else:
        field.type = FieldDescriptorProto.TYPE_STRING
    return field


def choose_again(message: Message) -> None:
    """Let every route that chooses its cluster by the number of the try choose again on each try."""
    found: Any = message
    name = found.DESCRIPTOR.full_name
    if name == "google.protobuf.Any":
        _within(found)
    elif name == _ROUTE_ACTION:
        if found.HasField("inline_cluster_specifier_plugin"):
            found.retry_policy.MergeFromString(_REFRESH_ON_RETRY)
    else:
        for field, value in found.ListFields():
            for part in _messages(field, value):
                choose_again(part)


def _within(packed: Any) -> None:
    """Change the routes in an ``Any``."""
    if packed.Is(_class(_ROUTE_LIST).DESCRIPTOR):
        routes = _class(_ROUTE_LIST).FromString(packed.value)
        choose_again(routes)
        # Deterministic, because a resource's version is the digest of its bytes.
        packed.value = routes.SerializeToString(deterministic=True)


def _messages(field: Any, value: Any) -> list[Message]:
    """Return the messages in a field."""
    if field.message_type is None:
        return []
    if field.message_type.GetOptions().map_entry:
        return [part for part in value.values() if isinstance(part, Message)]
    return [value] if isinstance(value, Message) else list(value)


def _class(name: str) -> type[Any]:
    return cast("type[Any]", GetMessageClass(Default().FindMessageTypeByName(name)))
