"""The state of a CloudFormation stack, and what it allows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class StackStep(StrEnum):
    """The step that brings a stack nearer to what is wanted."""

    CREATE = "create"
    UPDATE = "update"
    WAIT = "wait"
    DELETE = "delete"
    """The stack failed when it was created, and blocks its name."""
    CONTINUE_ROLLBACK = "continue-rollback"
    DONE = "done"


_BLOCKED = ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED")
_GONE = (None, "DELETE_COMPLETE")


def step_to_have(status: str | None) -> StackStep:
    """Return the step towards a stack that exists. ``status``: None if there is none.

    The statuses are those of https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html

    >>> step_to_have("ROLLBACK_COMPLETE").value, step_to_have("UPDATE_ROLLBACK_COMPLETE").value
    ('delete', 'update')
    """
    if status in _GONE or status == "REVIEW_IN_PROGRESS":
        return StackStep.CREATE
    if status in _BLOCKED:
        return StackStep.DELETE
    if status == "UPDATE_ROLLBACK_FAILED":
        return StackStep.CONTINUE_ROLLBACK
    return StackStep.WAIT if status and status.endswith("_IN_PROGRESS") else StackStep.UPDATE


def step_to_lack(status: str | None) -> StackStep:
    """Return the step towards a stack that does not exist.

    >>> [step_to_lack(status).value for status in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", None)]
    ['delete', 'wait', 'done']
    """
    if status in _GONE:
        return StackStep.DONE
    if status and status.startswith(("UPDATE", "DELETE")) and status.endswith("_IN_PROGRESS"):
        return StackStep.WAIT  # CloudFormation refuses to delete it meanwhile
    return StackStep.DELETE


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """A stack as CloudFormation describes it."""

    name: str
    stack_id: str
    status: str
    reason: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict[str, str])
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def succeeded(self) -> bool:
        return self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class StackEvent:
    """A change of one resource of a stack."""

    stack: str
    resource: str
    """The resource's name in the template."""
    type: str
    status: str
    reason: str
    at: datetime
    event_id: str
    physical_id: str = ""

    @property
    def failed(self) -> bool:
        return self.status.endswith("_FAILED")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceChange:
    """One line of a change set."""

    stack: str
    resource: str
    type: str
    action: str
    """``Add``, ``Modify``, ``Remove``, ``Import`` or ``Dynamic``."""
    replacement: str = ""
    """``True``, ``False`` or ``Conditional``; empty unless the resource is modified."""
    properties: tuple[str, ...] = ()
    """The changed properties."""

    @property
    def replaced(self) -> bool:
        """True if the resource may be replaced."""
        return self.replacement in ("True", "Conditional")


def causes(events: Iterable[StackEvent]) -> list[str]:
    """Return the failures of an operation that have a cause of their own, the first one first.

    CloudFormation cancels the resources that are under way beside the failed one; they are left out.
    """
    failed = [event for event in events if event.failed and event.type != "AWS::CloudFormation::Stack"]
    failed.sort(key=lambda event: event.at)
    own = [event for event in failed if "cancelled" not in event.reason.lower()]
    return [f"{event.resource} ({event.type}): {event.reason or event.status}" for event in own or failed]


def outcome(status: StackStatus) -> str:
    """Return what became of an operation that failed, in words.

    >>> outcome(StackStatus(name="a", stack_id="", status="ROLLBACK_COMPLETE"))
    'it was rolled back'
    """
    words = {
        "ROLLBACK_COMPLETE": "it was rolled back",
        "UPDATE_ROLLBACK_COMPLETE": "it is as it was before",
        "DELETE_FAILED": "some of its resources cannot be deleted",
    }
    return words.get(status.status) or f"{status.reason.rstrip('.')} ({status.status})".lstrip()
