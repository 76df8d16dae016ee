"""The held requests and their order, for any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gyrus.gate.held_requests import HeldRequests

APIS = ("a", "b")
acts = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(APIS), st.floats(0, 10)),
        st.tuples(st.just("leave"), st.integers(0, 30), st.none()),
    ),
    max_size=60,
)


@given(acts)
def test_order_is_that_of_arrival_and_nothing_is_left_behind(acts: list[tuple[str, object, object]]) -> None:
    held: HeldRequests[int] = HeldRequests()
    model: dict[str, list[tuple[float, int]]] = {api: [] for api in APIS}
    entered = 0
    for act, what, arrived in acts:
        if act == "enter":
            api, when = str(what), float(str(arrived))
            held.enter(api, entered, when)
            model[api] = sorted([*model[api], (when, entered)])
            entered += 1
        else:
            item = int(str(what))
            there = any(item == one for line in model.values() for _, one in line)
            assert held.leave(item) is there
            model = {api: [place for place in line if place[1] != item] for api, line in model.items()}
        for api in APIS:
            assert held.of(api) == tuple(item for _, item in model[api])
            assert held.first(api) == next((item for _, item in model[api]), None)
            assert held.count(api) == len(model[api])
        assert len(held) == sum(map(len, model.values()))
    for item in range(entered):
        held.leave(item)
    assert held.apis() == ()
    assert len(held) == 0
