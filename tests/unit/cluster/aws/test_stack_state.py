from datetime import UTC, datetime, timedelta

import pytest

from gyrus.cluster.aws.stack_state import StackEvent, StackStatus, causes, outcome, step_to_have, step_to_lack

STATUSES = (
    *(f"CREATE_{end}" for end in ("IN_PROGRESS", "FAILED", "COMPLETE")),
    *(f"ROLLBACK_{end}" for end in ("IN_PROGRESS", "FAILED", "COMPLETE")),
    *(f"DELETE_{end}" for end in ("IN_PROGRESS", "FAILED", "COMPLETE")),
    *(f"UPDATE_{end}" for end in ("IN_PROGRESS", "COMPLETE_CLEANUP_IN_PROGRESS", "COMPLETE", "FAILED")),
    *(f"UPDATE_ROLLBACK_{end}" for end in ("IN_PROGRESS", "FAILED", "COMPLETE")),
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
    "REVIEW_IN_PROGRESS",
    *(f"IMPORT_{end}" for end in ("IN_PROGRESS", "COMPLETE")),
    *(f"IMPORT_ROLLBACK_{end}" for end in ("IN_PROGRESS", "FAILED", "COMPLETE")),
)
"""All statuses of CloudFormation's reference of the type Stack."""


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (None, "create"),
        ("DELETE_COMPLETE", "create"),
        ("REVIEW_IN_PROGRESS", "create"),
        ("CREATE_IN_PROGRESS", "wait"),
        ("ROLLBACK_IN_PROGRESS", "wait"),
        ("DELETE_IN_PROGRESS", "wait"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait"),
        ("CREATE_FAILED", "delete"),
        ("ROLLBACK_COMPLETE", "delete"),
        ("ROLLBACK_FAILED", "delete"),
        ("DELETE_FAILED", "delete"),
        ("UPDATE_ROLLBACK_FAILED", "continue-rollback"),
        ("CREATE_COMPLETE", "update"),
        ("UPDATE_ROLLBACK_COMPLETE", "update"),
    ],
)
def test_the_step_to_a_stack_that_exists(status: str | None, step: str):
    assert step_to_have(status) == step


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (None, "done"),
        ("DELETE_COMPLETE", "done"),
        ("REVIEW_IN_PROGRESS", "delete"),
        ("CREATE_IN_PROGRESS", "delete"),
        ("ROLLBACK_IN_PROGRESS", "delete"),
        ("UPDATE_IN_PROGRESS", "wait"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "wait"),
        ("DELETE_IN_PROGRESS", "wait"),
        ("DELETE_FAILED", "delete"),
        ("UPDATE_ROLLBACK_FAILED", "delete"),
    ],
)
def test_the_step_to_a_stack_that_does_not_exist(status: str | None, step: str):
    assert step_to_lack(status) == step


@pytest.mark.parametrize("status", STATUSES)
def test_only_operations_under_way_are_waited_for(status: str):
    for step in (step_to_have(status), step_to_lack(status)):
        assert step != "wait" or status.endswith("_IN_PROGRESS")


def event(resource: str, reason: str, seconds: int, kind: str = "AWS::EC2::VPC") -> StackEvent:
    at = datetime(2026, 11, 28, tzinfo=UTC) + timedelta(seconds=seconds)
    return StackEvent(
        stack="s", resource=resource, type=kind, status="CREATE_FAILED", reason=reason, at=at, event_id="1"
    )


def test_the_causes_of_a_failure_are_those_that_nothing_else_caused():
    events = [
        event("s", "The following resources failed", 5, "AWS::CloudFormation::Stack"),
        event("B", "Resource creation cancelled", 2),
        event("A", "The maximum number of VPCs has been reached.", 1),
    ]
    assert causes(events) == ["A (AWS::EC2::VPC): The maximum number of VPCs has been reached."]
    assert causes(events[1:2]) == ["B (AWS::EC2::VPC): Resource creation cancelled"]


def test_an_outcome_without_words_of_its_own_is_cloudformations():
    status = StackStatus(name="s", stack_id="", status="UPDATE_FAILED", reason="Access denied.")
    assert outcome(status) == "Access denied (UPDATE_FAILED)"
