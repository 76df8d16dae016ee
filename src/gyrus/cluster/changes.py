"""The change that a command made to one object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gyrus.kubernetes.resources import Manifest, ResourceKind, name_of, namespace_of, version_of


class ObjectOutcome(StrEnum):
    """The kind of a change."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    KEPT = "kept"
    """Left as it is: not gyrus's own, or in use elsewhere."""


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """An object, and what happened to it."""

    outcome: ObjectOutcome
    kind: str
    name: str
    namespace: str | None
    note: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.outcome:<9} {self.kind} {self.name}{note}"


def applied(before: Manifest | None, after: Manifest) -> ObjectChange:
    """Return the change from an object before to the object after an apply."""
    if before is None:
        outcome = ObjectOutcome.CREATED
    elif version_of(before) == version_of(after):
        outcome = ObjectOutcome.UNCHANGED
    else:
        outcome = ObjectOutcome.CHANGED
    return ObjectChange(outcome, after["kind"], name_of(after), namespace_of(after))


def deleted(resource: ResourceKind, name: str, namespace: str | None) -> ObjectChange:
    return ObjectChange(ObjectOutcome.DELETED, resource.kind, name, namespace)


def kept(resource: ResourceKind, name: str, note: str, namespace: str | None = None) -> ObjectChange:
    return ObjectChange(ObjectOutcome.KEPT, resource.kind, name, namespace, note)
