"""A problem that prevents a cluster, or will prevent its growth. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightProblem:
    """One problem. An error prevents the cluster; with a warning it starts, and may not grow as it should."""

    what: str
    """The thing: a quota's name, a field of cluster.yaml with its value, a resource."""
    have: str
    need: str
    remedy: str
    severity: Severity = "error"

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    def __str__(self) -> str:
        return f"{self.what}: have {self.have}; need {self.need}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class PreflightNote:
    """A part that could not be checked."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"not checked: {self.what}: {self.why}"
