"""EventBridge's messages about instances."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.aws.nodes.notices import NodeMessage, merged, read_message
from gyrus.nodes.state import NodeNotice, NoticeKind

AT = 1795867200.0
"""2026-11-28T12:00:00Z"""


def body(kind: str, detail: dict[str, Any], time: str = "2026-11-28T12:00:00Z") -> str:
    return json.dumps({"version": "0", "detail-type": kind, "time": time, "detail": detail})


def test_a_warning_of_an_interruption_has_the_end_two_minutes_later() -> None:
    kind = "EC2 Spot Instance Interruption Warning"
    message = read_message(body(kind, {"instance-id": "i-1", "instance-action": "terminate"}))
    notice = NodeNotice(node="i-1", kind=NoticeKind.INTERRUPTION, at=AT, ends_at=AT + 120)
    assert message == NodeMessage(kind=kind, notices=(notice,))


def test_advice_and_scheduled_changes_let_a_node_be_replaced() -> None:
    advice = read_message(body("EC2 Instance Rebalance Recommendation", {"instance-id": "i-1"}))
    assert advice.notices == (NodeNotice(node="i-1", kind=NoticeKind.REBALANCE, at=AT),)
    detail = {"service": "EC2", "affectedEntities": [{"entityValue": "i-1"}, {"entityValue": "i-2"}]}
    assert [one.node for one in read_message(body("AWS Health Event", detail)).notices] == ["i-1", "i-2"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", ""),
        ("[1]", ""),
        ("{}", ""),
        (body("EC2 Instance State-change Notification", {"instance-id": "i-1", "state": "running"}),
         "EC2 Instance State-change Notification"),
        (body("EC2 Spot Instance Interruption Warning", {}), "EC2 Spot Instance Interruption Warning"),
        (body("AWS Health Event", {"affectedEntities": [1]}), "AWS Health Event"),
        (body("EC2 Instance Rebalance Recommendation", {"instance-id": "i-1"}, time="soon"),
         "EC2 Instance Rebalance Recommendation"),
    ],
)  # fmt: skip
def test_unknown_and_damaged_messages_have_no_notices(text: str, kind: str) -> None:
    assert read_message(text) == NodeMessage(kind=kind)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda each: st.lists(each) | st.dictionaries(
    st.sampled_from(["detail-type", "detail", "time", "instance-id", "affectedEntities"]) | st.text(), each
), max_leaves=8))  # fmt: skip
def test_no_message_fails(document: object) -> None:
    read_message(json.dumps(document))


def test_a_repeated_notice_changes_nothing() -> None:
    first = NodeNotice(node="i-1", kind=NoticeKind.INTERRUPTION, at=AT, ends_at=AT + 120)
    again = NodeNotice(node="i-1", kind=NoticeKind.INTERRUPTION, at=AT + 60, ends_at=AT + 180)
    advice = NodeNotice(node="i-1", kind=NoticeKind.REBALANCE, at=AT)
    assert merged((first,), (again, advice)) == (first, advice)
    assert merged(merged((first,), (again, advice)), (advice, again)) == (first, advice)
