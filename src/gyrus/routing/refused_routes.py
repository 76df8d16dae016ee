"""The routes that a gateway refuses, and what the route table has in their place. Pure.

All APIs share one route table. If Envoy refuses it, Envoy continues with the last table that it accepted. A
search (:mod:`gyrus.routing.route_search`) then finds the APIs at fault in a second table that serves no
requests, so that no other API loses its route. A refused API keeps the route that Envoy accepted before; if
there is none, the table leaves it out. A route is tried again as soon as its entry in the table changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gyrus.routing.encoder import match_of
from gyrus.routing.resources import probe, routes
from gyrus.routing.resources.kinds import ROUTES
from gyrus.routing.route_search import RouteSearch
from gyrus.routing.xds.stream_state import Push, StreamState
from gyrus.state.board import Route, api_of

RoutesByApi = Mapping[str, Route]
"""The routes of a table, by API."""
Match = tuple[object, ...]
"""The parts of a route that the table depends on, as :func:`match_of` returns it."""


@dataclass(frozen=True, slots=True)
class RefusedRoute:
    """A route that Envoy refuses."""

    keys: frozenset[Match]
    """The refused entries of the API, as :func:`match_of` returns them."""
    clusters: frozenset[str]
    """The clusters to which the refused route sends requests."""
    reason: str
    stand_in: Route | None
    """The route that the same Envoy accepted before."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A search at one stream's Envoy, and the route of each suspect."""

    stream: StreamState
    suspects: RoutesByApi
    search: RouteSearch


class RefusedRoutes:
    """The refused routes of all streams. One search runs at a time."""

    def __init__(self) -> None:
        self._sent: dict[StreamState, RoutesByApi] = {}
        """The last table that each stream was sent."""
        self._accepted: dict[StreamState, RoutesByApi] = {}
        """The last table that each stream's Envoy accepted."""
        self._tried: RouteSearch | None = None
        """The state of the search when its present group was sent."""
        self._run: _Run | None = None
        self._trials: dict[StreamState, Mapping[str, Match]] = {}
        """The last group that each stream was sent to try, by API."""
        self._held: dict[StreamState, Mapping[str, Match]] = {}
        """The last group that each stream's Envoy has accepted: it is not sent to it again."""
        self._turned_down: dict[StreamState, tuple[Mapping[str, Match], str]] = {}
        """The last group that each stream's Envoy has refused, and its reason."""
        self._refused: dict[str, RefusedRoute] = {}

    # Known facts

    @property
    def by_api(self) -> Mapping[str, RefusedRoute]:
        return self._refused

    @property
    def trial(self) -> RoutesByApi:
        """The routes to try in the table that serves no requests. Empty while no search runs."""
        run = self._run
        return {api: run.suspects[api] for api in run.search.trial} if run else {}

    def table(self, wanted: RoutesByApi, unusable: frozenset[str] = frozenset()) -> RoutesByApi:
        """Return the routes that the table should have.

        ``unusable``: clusters that an Envoy refuses. An API that would route to one of them keeps the route
        that Envoy accepted before, if that needs none of them.
        """
        table = self._without_refused(wanted)
        for api in {api_of(cluster) for cluster in unusable}:
            route = table.get(api)
            stand_in = self._accepted_route(api)
            if route and stand_in and _uses(route, unusable) and not _uses(stand_in, unusable):
                table = {**table, api: stand_in}
        return table

    def _without_refused(self, wanted: RoutesByApi) -> RoutesByApi:
        if not self._refused:
            return wanted
        kept = {api: route for api, route in wanted.items() if api not in self._refused}
        taken = {route.path for route in kept.values()}
        stand_ins = (refused.stand_in for api, refused in self._refused.items() if api in wanted)
        return kept | {route.api: route for route in stand_ins if route and route.path not in taken}

    def _accepted_route(self, api: str) -> Route | None:
        return next((table[api] for table in self._accepted.values() if api in table), None)

    # Events

    def wanted(self, target: RoutesByApi) -> None:
        """Forget the refusals of routes that have changed or are gone."""
        self._refused = {
            api: refused
            for api, refused in self._refused.items()
            if api in target and match_of(target[api]) in refused.keys
        }

    def sent(self, stream: StreamState, push: Push, table: RoutesByApi) -> None:
        """Record a push of routes. ``table``: the routes of its main table."""
        if routes.NAME in push.versions:
            self._sent[stream] = table
        if probe.NAME in push.versions:
            self._trials[stream] = _matches(self.trial)
        if probe.NAME in push.versions and self._run and self._run.stream is stream:
            self._tried = self._run.search

    def answered(self, stream: StreamState, push: Push) -> bool:
        """Record the answer to a push of routes. Returns whether the tables have to be built again."""
        main = _verdict(stream, push, routes.NAME)
        if main == "":
            self._accepted[stream] = self._sent[stream]
        tried = _verdict(stream, push, probe.NAME)
        if tried:
            self._turned_down[stream] = self._trials[stream], tried
        elif tried is not None:
            self._held[stream] = self._trials[stream]
        if tried is not None and self._run and self._run.stream is stream:
            return self._step(self._run, tried)
        return bool(main) and not self._run and self._begin(stream, main)

    def closed(self, stream: StreamState) -> bool:
        """Forget a stream. Returns whether the tables have to be built again."""
        self._sent.pop(stream, None)
        self._accepted.pop(stream, None)
        self._trials.pop(stream, None)
        self._held.pop(stream, None)
        self._turned_down.pop(stream, None)
        if self._run is None or self._run.stream is not stream:
            return False
        self._run = None
        return True

    # The search

    def _begin(self, stream: StreamState, reason: str) -> bool:
        """Search the routes that this Envoy has not accepted before. Returns whether there are any."""
        known = _matches(self._accepted.get(stream, {}))
        suspects = {
            api: route for api, route in self._sent[stream].items() if known.get(api) != match_of(route)
        }
        if suspects:
            self._go_on(_Run(stream, suspects, RouteSearch.among(suspects, reason)))
        return bool(suspects)

    def _step(self, run: _Run, reason: str) -> bool:
        if self._tried is not run.search:  # the answer to an earlier group
            return False
        search = run.search.refused(reason) if reason else run.search.accepted()
        self._go_on(_Run(run.stream, run.suspects, search))
        return True

    def _go_on(self, run: _Run) -> None:
        """Try the next group, or end the search."""
        run = self._judged_before(run)
        self._run = run if run.search.trial else None
        if self._run is None:
            for api, reason in run.search.found.items():
                self._refused[api] = self._refusal(run.stream, run.suspects[api], reason)

    def _judged_before(self, run: _Run) -> _Run:
        """Return the search after the groups that this Envoy has judged in the search of another one."""
        search, held = run.search, self._held.get(run.stream)
        refused, reason = self._turned_down.get(run.stream, (None, ""))
        while search.trial:
            group = _matches({api: run.suspects[api] for api in search.trial})
            if group not in (held, refused):
                break
            search = search.accepted() if group == held else search.refused(reason)
        return _Run(run.stream, run.suspects, search)

    def _refusal(self, stream: StreamState, route: Route, reason: str) -> RefusedRoute:
        before = self._refused.get(route.api)
        # Another Envoy may refuse the stand-in, too. Both entries are then refused.
        keys = frozenset({match_of(route)}).union(before.keys if before else ())
        stand_in = self._accepted.get(stream, {}).get(route.api)
        usable = stand_in and match_of(stand_in) not in keys
        return RefusedRoute(keys, _clusters(route), reason, stand_in if usable else None)


def _matches(routes_by_api: RoutesByApi) -> Mapping[str, Match]:
    return {api: match_of(route) for api, route in routes_by_api.items()}


def _clusters(route: Route) -> frozenset[str]:
    return frozenset(share.pool.id for share in route.routed)


def _uses(route: Route, clusters: frozenset[str]) -> bool:
    return not clusters.isdisjoint(_clusters(route))


def _verdict(stream: StreamState, push: Push, name: str) -> str | None:
    """Return the reason of a refusal, or an empty text if the Envoy has accepted the table.

    Returns None if the push decided nothing about it: several resources may be refused together.
    """
    version = push.versions.get(name)
    if version is None:
        return None
    if stream.confirmed(ROUTES).get(name) == version:
        return ""
    refusal = stream.refusal(ROUTES, name)
    return (refusal.message or "no reason given") if refusal and refusal.version == version else None
