"""EventBridge's messages about instances. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from gyrus.nodes.state import NodeNotice, NoticeKind

WARNED_BEFORE = 120.0
"""Seconds between the warning of an interruption and the end of the instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeMessage:
    """A message, read."""

    kind: str
    """EventBridge's ``detail-type``; "" if the message is not of EventBridge."""
    notices: tuple[NodeNotice, ...] = ()
    """Notices for the planner; their nodes are IDs of instances, also of other clusters."""


def read_message(body: str) -> NodeMessage:
    """Return a message. One that is unknown, or damaged, has no notices."""
    try:
        document: object = json.loads(body)
    except ValueError:
        return NodeMessage(kind="")
    if not isinstance(document, dict):
        return NodeMessage(kind="")
    message = cast("Mapping[str, Any]", document)
    kind = str(message.get("detail-type", ""))
    try:
        return NodeMessage(kind=kind, notices=tuple(_notices(kind, message)))
    except (KeyError, TypeError, ValueError, AttributeError):
        return NodeMessage(kind=kind)


def _notices(kind: str, message: Mapping[str, Any]) -> Iterator[NodeNotice]:
    detail: Mapping[str, Any] = message["detail"]
    at = datetime.fromisoformat(message["time"]).timestamp()
    match kind:
        case "EC2 Spot Instance Interruption Warning":
            ends_at = at + WARNED_BEFORE
            yield NodeNotice(node=detail["instance-id"], kind=NoticeKind.INTERRUPTION, at=at, ends_at=ends_at)
        case "EC2 Instance Rebalance Recommendation":
            yield NodeNotice(node=detail["instance-id"], kind=NoticeKind.REBALANCE, at=at)
        case "AWS Health Event":
            for entity in detail.get("affectedEntities", ()):
                yield NodeNotice(node=entity["entityValue"], kind=NoticeKind.REBALANCE, at=at)
        case _:
            pass


def merged(
    known: tuple[NodeNotice, ...], received: Iterator[NodeNotice] | tuple[NodeNotice, ...]
) -> tuple[NodeNotice, ...]:
    """Return one notice for each node and kind: the first one, so that a repeated one changes nothing."""
    by_key = {(one.node, one.kind): one for one in known}
    for one in received:
        by_key.setdefault((one.node, one.kind), one)
    return tuple(by_key[key] for key in sorted(by_key))
