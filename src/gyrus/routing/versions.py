"""The meaning of each version that an Envoy may still have. Pure.

Envoy reports versions, which are digests of the resources that it was sent. This module keeps their meaning
for as long as a gateway may use one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gyrus.routing.endpoint_sets import NOTHING
from gyrus.routing.resources import routes
from gyrus.routing.resources.kinds import ENDPOINTS, ROUTES
from gyrus.routing.snapshot import Snapshot
from gyrus.state.board import Endpoints

MANY_TABLES = 100
"""Number of remembered route tables above which those that no Envoy has any more are dropped."""


class Versions:
    """The endpoints by the version of an assignment, and the clusters by the version of a route table."""

    def __init__(self) -> None:
        self._assignments: dict[str, Endpoints] = {}
        self._tables: dict[str, frozenset[str]] = {}

    def endpoints(self, version: str | None) -> Endpoints:
        return self._assignments.get(version or "", NOTHING)

    def routed(self, version: str | None) -> frozenset[str]:
        """Return the clusters to which this route table sends requests."""
        return self._tables.get(version or "", NOTHING)

    def wanted(self, snapshot: Snapshot) -> None:
        """Record a snapshot that may be sent from now on."""
        for name, resource in snapshot.of_kind(ENDPOINTS).items():
            self._assignments[resource.version] = snapshot.endpoints[name]
        self._tables[snapshot.of_kind(ROUTES)[routes.NAME].version] = snapshot.table_clusters

    def restored(self, assignments: Mapping[str, Endpoints], table: str, clusters: frozenset[str]) -> None:
        """Record placeholders for the versions of a node that has not reported them, with what it uses."""
        self._assignments.update(assignments)
        self._tables[table] = clusters

    def learn(
        self, assignments: Mapping[str, Endpoints], table: str | None, clusters: frozenset[str]
    ) -> None:
        """Record versions that another operator made, with all that they can mean. Known versions stay."""
        self._assignments = {**assignments, **self._assignments}
        if table:
            self._tables.setdefault(table, clusters)

    def forget_old(self, snapshot: Snapshot, alive: Callable[[str], set[str | None]]) -> None:
        """Drop versions that are neither in the snapshot nor ``alive``, but only when there are many.

        ``alive``: returns the versions of a kind that an Envoy may have.
        """
        if len(self._tables) >= MANY_TABLES:
            kept = _wanted(ROUTES, snapshot) | alive(ROUTES)
            self._tables = {version: known for version, known in self._tables.items() if version in kept}
        if len(self._assignments) >= 4 * len(snapshot.endpoints) + 1000:
            kept = _wanted(ENDPOINTS, snapshot) | alive(ENDPOINTS)
            self._assignments = {
                version: known for version, known in self._assignments.items() if version in kept
            }


def _wanted(kind: str, snapshot: Snapshot) -> set[str | None]:
    return {resource.version for resource in snapshot.of_kind(kind).values()}
