"""The search for what Envoy refuses: all that is bad, nothing that is good, in few tries."""

from __future__ import annotations

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from gyrus.routing.route_search import RouteSearch

apis = st.sets(st.integers(0, 999).map(str), min_size=1, max_size=200)


@given(apis, st.data())
def test_exactly_the_bad_ones_are_found(suspects: set[str], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from(sorted(suspects)), min_size=1, max_size=5))
    search, tries = RouteSearch.among(suspects, "together"), 0
    while search.trial:
        tries += 1
        at_fault = bad.intersection(search.trial)
        search = search.refused(f"because of {min(at_fault)}") if at_fault else search.accepted()
    assert search.found.keys() == bad
    if len(suspects) > 1:
        assert search.found == {api: f"because of {api}" for api in bad}
    assert tries <= 2 * len(bad) * ceil(log2(len(suspects)))


def test_a_single_suspect_is_found_without_a_try() -> None:
    search = RouteSearch.among(["iris"], "no")
    assert not search.trial
    assert search.found == {"iris": "no"}


def test_where_each_is_accepted_none_is_found() -> None:
    search = RouteSearch.among(["a", "b"], "together they are too long")
    assert search.accepted().accepted() == RouteSearch()
