"""A search for the routes that Envoy refuses, by bisection. Pure.

Envoy refuses a route table as a whole and does not report the entry at fault. The search therefore tries
groups of the suspects: an accepted group is cleared, and a refused one is halved until it is a single API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Group = tuple[str, ...]
"""Names of APIs."""


@dataclass(frozen=True, slots=True)
class RouteSearch:
    """The groups that remain to be tried, and the refused APIs found so far."""

    groups: tuple[Group, ...] = ()
    found: Mapping[str, str] = field(default_factory=dict[str, str])
    """The refused APIs, with Envoy's reason."""

    @classmethod
    def among(cls, suspects: Iterable[str], reason: str) -> RouteSearch:
        """Begin with suspects that Envoy refused together. A single one is found at once."""
        return cls((tuple(sorted(suspects)),)).refused(reason)

    @property
    def trial(self) -> Group:
        """The group to try next. Empty at the end of the search."""
        return self.groups[0] if self.groups else ()

    def accepted(self) -> RouteSearch:
        """Return the search after Envoy has accepted the group on trial."""
        return RouteSearch(self.groups[1:], self.found)

    def refused(self, reason: str) -> RouteSearch:
        """Return the search after Envoy has refused the group on trial."""
        group, rest, half = self.trial, self.groups[1:], len(self.trial) // 2
        if len(group) <= 1:
            return RouteSearch(rest, {**self.found, **dict.fromkeys(group, reason)})
        return RouteSearch((group[:half], group[half:], *rest), self.found)
