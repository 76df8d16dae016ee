"""What a command did to one object."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gyrus.kubernetes.resources import Manifest, Resource, name_of, namespace_of, version_of


class Outcome(StrEnum):
    """What happened to an object."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    DELETED = "deleted"
    KEPT = "kept"
    """It exists, and is not gyrus's own or has other users."""


@dataclass(frozen=True, slots=True)
class Change:
    """An object, and what happened to it."""

    outcome: Outcome
    kind: str
    name: str
    namespace: str | None
    note: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.outcome:<9} {self.kind} {self.name}{note}"


def applied(before: Manifest | None, after: Manifest) -> Change:
    """Return the change from an object before to the object after an apply."""
    if before is None:
        outcome = Outcome.CREATED
    elif version_of(before) == version_of(after):
        outcome = Outcome.UNCHANGED
    else:
        outcome = Outcome.CHANGED
    return Change(outcome, after["kind"], name_of(after), namespace_of(after))


def deleted(resource: Resource, name: str, namespace: str | None) -> Change:
    return Change(Outcome.DELETED, resource.kind, name, namespace)


def kept(resource: Resource, name: str, note: str, namespace: str | None = None) -> Change:
    return Change(Outcome.KEPT, resource.kind, name, namespace, note)
