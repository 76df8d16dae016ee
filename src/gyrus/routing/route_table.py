"""The route table: one resource with an entry for each API. Pure.

Envoy gets the table as a whole, because the tree of paths is part of one virtual host. So that a change to
one API costs little, its entries are encoded one by one, and the table joins their bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gyrus.routing.encoder import Encoder, TableEntry, match_of, speaks_http2
from gyrus.state.board import Route


@dataclass(frozen=True, slots=True)
class TableEntries:
    """The route table's encoded entries."""

    by_path: Mapping[str, TableEntry]
    by_name: Mapping[str, TableEntry]
    """By API: the entries of APIs that gRPC clients name in a header."""


NO_ENTRIES = TableEntries(MappingProxyType({}), MappingProxyType({}))


def entries_of(
    wanted: Mapping[str, Route],
    last: TableEntries,
    old: Iterable[Route],
    new: Iterable[Route],
    encoder: Encoder,
) -> TableEntries:
    """Build the entries of these routes. Returns ``last`` if nothing has changed in them.

    ``old`` are the routes that ``last`` was built from and that differ now, ``new`` the differing ones now.
    """
    before = {route.api: match_of(route) for route in old}
    after = {route.api: match_of(route) for route in new}
    others = {api for api in before.keys() | after.keys() if before.get(api) != after.get(api)}
    if not others:
        return last
    touched = {route.path for route in (*old, *new) if route.api in others}
    return TableEntries(
        _by_path(wanted, last.by_path, touched, encoder), _by_name(wanted, last.by_name, others, encoder)
    )


def outer(route: Route, by_path: Mapping[str, Route]) -> tuple[Route, ...]:
    """Return the routes whose paths contain this one's path, innermost first."""
    segments = route.path.split("/")
    paths = ("/".join(segments[:n]) for n in range(len(segments) - 1, 1, -1))
    return tuple(by_path[path] for path in paths if path in by_path)


def _by_path(
    wanted: Mapping[str, Route], last: Mapping[str, TableEntry], touched: set[str], encoder: Encoder
) -> dict[str, TableEntry]:
    """Build the entries by path. An entry depends on its route, and on the routes whose paths contain it."""
    routes = {route.path: route for route in wanted.values()}
    kept = {path: entry for path, entry in last.items() if path not in touched}
    affected = set(_at_or_below(touched, sorted(routes)))
    return kept | {path: encoder.entry(routes[path], outer(routes[path], routes)) for path in affected}


def _at_or_below(paths: Iterable[str], among: list[str]) -> Iterator[str]:
    """Yield these paths and all paths that they contain. ``among`` has all paths, sorted."""
    for path in paths:
        # Two ranges, since another path such as "/a-b" may come between "/a" and "/a/b". In the order of
        # characters, "0" follows "/".
        yield from _range(among, path, f"{path}\0")
        yield from _range(among, f"{path}/", f"{path}0")


def _range(among: list[str], first: str, end: str) -> list[str]:
    return among[bisect_left(among, first) : bisect_left(among, end)]


def _by_name(
    wanted: Mapping[str, Route], last: Mapping[str, TableEntry], others: set[str], encoder: Encoder
) -> dict[str, TableEntry]:
    kept = {api: entry for api, entry in last.items() if api not in others}
    named = (wanted[api] for api in others if api in wanted)
    return kept | {route.api: encoder.called(route) for route in named if speaks_http2(route)}
