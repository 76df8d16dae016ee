"""Stacks of CloudFormation: applied through change sets, followed by resource, removed.

Every operation may be interrupted anywhere and repeated: it looks at the stack's status and goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.calls import Answer, AwsCaller
from gyrus.cluster.aws.errors import AwsNotFound, AwsRejected, StackDeletionFailed, StackFailed
from gyrus.cluster.aws.stack_state import (
    ResourceChange,
    StackEvent,
    StackStatus,
    StackStep,
    causes,
    outcome,
    step_to_have,
    step_to_lack,
)

CLOUDFORMATION = "cloudformation"
LARGEST_TEMPLATE = 51_200
"""Bytes of a template that CloudFormation takes without a bucket."""
POLLS = Backoff(0.2, 5, 1.5)
"""Seconds between two looks at a stack. DescribeStacks is throttled."""
UNCHANGED = ("didn't contain changes", "no updates are to be performed")
TRIES_TO_DELETE = 3

ReportEvent = Callable[[StackEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedStack:
    """A stack as it shall be."""

    name: str
    template: Mapping[str, Any]
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def body(self) -> str:
        return json.dumps(self.template, sort_keys=True, separators=(",", ":"))

    @property
    def change_set(self) -> str:
        """The name of its change set: the same content has the same name, so that a repetition finds it."""
        content = json.dumps([self.body, dict(self.parameters), dict(self.tags)], sort_keys=True)
        return f"gyrus-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedChange:
    """A change set that is ready."""

    wanted: WantedStack
    change_set_id: str
    changes: tuple[ResourceChange, ...]
    creates: bool
    """True if there is no such stack yet."""


def _ignore(event: StackEvent) -> None:
    pass


class Stacks:
    """The stacks of one account and region."""

    def __init__(
        self,
        aws: AwsCaller,
        *,
        report: ReportEvent = _ignore,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        polls: Backoff = POLLS,
    ) -> None:
        """``report`` gets each event of a stack that is being changed, in order."""
        self._aws = aws
        self._report = report
        self._sleep = sleep
        self._polls = polls

    async def find(self, name: str) -> StackStatus | None:
        """Return a stack by its name or ID; None if there is none."""
        try:
            answer = await self._aws.call(CLOUDFORMATION, "describe_stacks", StackName=name)
        except AwsNotFound:
            return None
        except AwsRejected as error:
            if error.code == "ValidationError" and "does not exist" in error.reason:
                return None
            raise
        stacks: list[Answer] = answer["Stacks"]
        return _status(stacks[0]) if stacks else None

    async def named(self, prefix: str) -> list[StackStatus]:
        """Return the stacks whose names begin with ``prefix``."""
        stacks = await self._aws.pages(CLOUDFORMATION, "describe_stacks", "Stacks")
        found = [_status(stack) for stack in stacks if stack["StackName"].startswith(prefix)]
        return sorted(found, key=lambda stack: stack.name)

    async def resources(self, name: str) -> dict[str, str]:
        """Return the resources of a stack that exist: their IDs by their names in the template."""
        entries = await self._aws.pages(
            CLOUDFORMATION, "list_stack_resources", "StackResourceSummaries", StackName=name
        )
        return {
            entry["LogicalResourceId"]: entry.get("PhysicalResourceId", "")
            for entry in entries
            if not entry["ResourceStatus"].startswith("DELETE_COMPLETE")
        }

    async def ready(self, name: str) -> StackStatus | None:
        """Wait until a stack can be changed, and return it; None if it is to be created.

        One that failed when it was created blocks its name, and is deleted. Raises AwsError.
        """
        continued = False
        while True:
            status = await self.find(name)
            match step_to_have(status.status if status else None):
                case StackStep.WAIT:
                    assert status is not None
                    known = {event.event_id for event in await self._events(status.stack_id)}
                    await self._until(
                        status.stack_id, known, lambda found: step_to_have(found) is not StackStep.WAIT
                    )
                case StackStep.DELETE:
                    await self.delete(name)
                case StackStep.CONTINUE_ROLLBACK:
                    assert status is not None
                    if continued:
                        raise StackFailed(name, outcome(status), causes(await self._events(name)))
                    continued = True
                    await self._aws.call(CLOUDFORMATION, "continue_update_rollback", StackName=name)
                case _:
                    return status

    async def template(self, name: str) -> dict[str, Any]:
        """Return the template of a stack as it was last applied. Raises AwsError."""
        answer = await self._aws.call(CLOUDFORMATION, "get_template", StackName=name)
        body: Any = answer["TemplateBody"]
        return json.loads(body) if isinstance(body, str) else dict(body)

    async def prepare(self, wanted: WantedStack) -> PreparedChange | None:
        """Make the change set of a stack, and wait until it is ready. Returns None if nothing changes.

        A stack that is under way is waited for; one that blocks its name is removed first. Raises AwsError.
        """
        status = await self.ready(wanted.name)
        creates = step_to_have(status.status if status else None) is StackStep.CREATE
        described = await self._change_set(wanted, "CREATE" if creates else "UPDATE")
        if described is None:
            return None
        return PreparedChange(
            wanted=wanted,
            change_set_id=described["ChangeSetId"],
            changes=tuple(_change(wanted.name, entry) for entry in described["Changes"]),
            creates=creates,
        )

    async def execute(self, prepared: PreparedChange) -> StackStatus:
        """Carry out a change set, and wait until the stack is done. Raises AwsError."""
        name = prepared.wanted.name
        known = {event.event_id for event in await self._events(name)}
        try:
            await self._aws.call(
                CLOUDFORMATION,
                "execute_change_set",
                StackName=name,  # by which IAM limits the right
                ChangeSetName=prepared.change_set_id,
                ClientRequestToken=_token(prepared.change_set_id),
            )
        except AwsRejected as error:
            # A lost answer: the first try has begun it.
            if error.code not in ("InvalidChangeSetStatus", "InvalidChangeSetStatusException"):
                raise
        return await self._followed(name, known)

    async def apply(self, wanted: WantedStack) -> StackStatus:
        """Bring a stack to what is wanted, and return it. Raises AwsError."""
        prepared = await self.prepare(wanted)
        if prepared is not None:
            return await self.execute(prepared)
        found = await self.find(wanted.name)
        if found is None:
            raise StackFailed(wanted.name, "it was removed at the same time")
        return found

    async def discard(self, prepared: PreparedChange) -> None:
        """Remove a change set that is not wanted, and the empty stack that it made. Raises AwsError."""
        if prepared.creates:
            await self.delete(prepared.wanted.name)
        else:
            await self._delete_change_set(prepared.wanted.name, prepared.change_set_id)

    async def delete(self, name: str, *, clear: Callable[[], Awaitable[None]] | None = None) -> bool:
        """Delete a stack, and wait until it is gone. Returns False if there was none. Raises AwsError.

        ``clear`` removes obstacles; it is called before each try.
        """
        found = await self.find(name)
        if found is None or found.status == "DELETE_COMPLETE":
            return False
        known = {event.event_id for event in await self._events(found.stack_id)}
        for number in range(TRIES_TO_DELETE):
            status = await self._until(
                found.stack_id, known, lambda status: step_to_lack(status) is not StackStep.WAIT
            )
            if status is None or step_to_lack(status.status) is StackStep.DONE:
                return True
            if clear is not None:
                await clear()
            await self._aws.call(CLOUDFORMATION, "delete_stack", StackName=found.stack_id)
            status = await self._until(
                found.stack_id, known, lambda status: status in (None, "DELETE_COMPLETE", "DELETE_FAILED")
            )
            if status is None or status.status == "DELETE_COMPLETE":
                return True
            if number + 1 == TRIES_TO_DELETE:
                failed = causes(await self._events(found.stack_id))
                raise StackDeletionFailed(name, outcome(status), failed)
        return True

    async def _change_set(self, wanted: WantedStack, kind: str) -> Answer | None:
        """Create a change set, or find the one of an earlier try. Returns None if it has no changes."""
        if len(wanted.body.encode()) > LARGEST_TEMPLATE:
            raise StackFailed(wanted.name, f"its template has more than {LARGEST_TEMPLATE} bytes")
        await self._delete_change_set(wanted.name, wanted.change_set)
        try:
            created = await self._aws.call(
                CLOUDFORMATION,
                "create_change_set",
                StackName=wanted.name,
                ChangeSetName=wanted.change_set,
                ChangeSetType=kind,
                ClientToken=str(uuid.uuid4()),
                TemplateBody=wanted.body,
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value}
                    for name, value in wanted.parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
                Tags=[{"Key": key, "Value": value} for key, value in wanted.tags.items()],
            )
            change_set = created["Id"]
        except AwsRejected as error:
            # The answer of an earlier try was lost: the same name has the same content.
            if error.code != "AlreadyExistsException":
                raise
            change_set = wanted.change_set
        for number in range(10_000):
            described = await self._described(wanted.name, change_set)
            if described["Status"] == "CREATE_COMPLETE":
                return described
            if described["Status"] == "FAILED":
                reason = str(described.get("StatusReason", ""))
                await self._delete_change_set(wanted.name, described["ChangeSetId"])
                if any(words in reason.lower() for words in UNCHANGED):
                    return None
                raise StackFailed(wanted.name, reason or "its change set failed")
            await self._sleep(self._polls.delay(number))
        raise AssertionError("the loop returns or raises")

    async def _described(self, stack: str, change_set: str) -> Answer:
        """Return a change set with the changes of all its pages."""
        which = {"StackName": stack, "ChangeSetName": change_set}
        described = await self._aws.call(CLOUDFORMATION, "describe_change_set", **which)
        changes: list[Any] = list(described.get("Changes", []))
        token = described.get("NextToken")
        while token:
            more = await self._aws.call(CLOUDFORMATION, "describe_change_set", **which, NextToken=token)
            changes += more.get("Changes", [])
            token = more.get("NextToken")
        return described | {"Changes": changes}

    async def _delete_change_set(self, stack: str, change_set: str) -> None:
        try:
            await self._aws.call(
                CLOUDFORMATION, "delete_change_set", StackName=stack, ChangeSetName=change_set
            )
        except AwsNotFound:
            pass
        except AwsRejected as error:
            if "does not exist" not in error.reason and "not found" not in error.reason.lower():
                raise

    async def _followed(self, name: str, known: set[str]) -> StackStatus:
        """Wait until an operation on a stack has ended, and return the stack. Raises StackFailed."""
        earlier = set(known)
        status = await self._until(name, known, lambda found: not (found or "").endswith("_IN_PROGRESS"))
        if status is None:
            raise StackFailed(name, "it was removed at the same time")
        if not status.succeeded:
            events = await self._events(status.stack_id)
            raise StackFailed(
                name, outcome(status), causes(event for event in events if event.event_id not in earlier)
            )
        return status

    async def _until(
        self, name: str, known: set[str], done: Callable[[str | None], bool]
    ) -> StackStatus | None:
        """Look at a stack until ``done`` is true of its status, and report its new events meanwhile."""
        for number in range(100_000):
            status = await self.find(name)
            await self._report_news(name, known)
            if done(status.status if status else None):
                return status
            await self._sleep(self._polls.delay(number))
        raise AssertionError("a stack's operation ends")

    async def _report_news(self, name: str, known: set[str]) -> None:
        for event in await self._events(name):
            if event.event_id not in known:
                known.add(event.event_id)
                self._report(event)

    async def _events(self, name: str) -> Sequence[StackEvent]:
        """Return the events of a stack, the first one first. Empty if there is no such stack."""
        try:
            entries = await self._aws.pages(
                CLOUDFORMATION, "describe_stack_events", "StackEvents", StackName=name
            )
        except (AwsNotFound, AwsRejected):
            return []
        return [_event(entry) for entry in reversed(entries)]


def _token(change_set_id: str) -> str:
    """Return the token of the execution of one change set: each has an ID of its own."""
    return hashlib.sha256(change_set_id.encode()).hexdigest()[:32]


def _status(entry: Answer) -> StackStatus:
    return StackStatus(
        name=entry["StackName"],
        stack_id=entry["StackId"],
        status=entry["StackStatus"],
        reason=entry.get("StackStatusReason", ""),
        outputs={one["OutputKey"]: one["OutputValue"] for one in entry.get("Outputs", [])},
        parameters={
            one["ParameterKey"]: one.get("ParameterValue", "") for one in entry.get("Parameters", [])
        },
        tags={one["Key"]: one["Value"] for one in entry.get("Tags", [])},
    )


def _event(entry: Answer) -> StackEvent:
    return StackEvent(
        stack=entry["StackName"],
        resource=entry.get("LogicalResourceId", ""),
        type=entry.get("ResourceType", ""),
        status=entry.get("ResourceStatus", ""),
        reason=entry.get("ResourceStatusReason", "") or "",
        at=entry["Timestamp"],
        event_id=entry["EventId"],
        physical_id=entry.get("PhysicalResourceId", "") or "",
    )


def _change(stack: str, entry: Answer) -> ResourceChange:
    change: Answer = entry.get("ResourceChange", {})
    details: list[Answer] = change.get("Details", [])
    names = {str(one["Target"].get("Name") or one["Target"].get("Attribute", "")) for one in details}
    return ResourceChange(
        stack=stack,
        resource=change.get("LogicalResourceId", ""),
        type=change.get("ResourceType", ""),
        action=change.get("Action", ""),
        replacement=change.get("Replacement", "") or "",
        properties=tuple(sorted(filter(None, names))),
    )
