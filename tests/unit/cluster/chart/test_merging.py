"""A merged tree is each of its variants under the conditions that it was rendered for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from gyrus.cluster.chart.merging import ABSENT, Choice, Tree, merged, under_conditions

SCALARS = st.integers(0, 2) | st.sampled_from(["a", "b", ""])
NAMED = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from("uvw"), "value": SCALARS}),
    unique_by=lambda item: item["name"],
    max_size=3,
).map(lambda items: sorted(items, key=lambda item: item["name"]))
TREES = st.recursive(
    SCALARS, lambda inner: NAMED | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=8
)


def resolved(tree: Tree, holds: Mapping[str, bool]) -> Any:
    """Return the tree as Helm evaluates it."""
    while isinstance(tree, Choice):
        tree = tree.holds if holds[tree.condition] else tree.fails
    if isinstance(tree, dict):
        fields = {key: resolved(item, holds) for key, item in cast("dict[str, Tree]", tree).items()}
        return {key: item for key, item in fields.items() if item is not ABSENT}
    if isinstance(tree, list):
        items = [resolved(item, holds) for item in cast("list[Tree]", tree)]
        return [item for item in items if item is not ABSENT]
    return tree


@given(st.lists(TREES, min_size=4, max_size=4))
def test_each_variant_is_found_again(variants: list[Any]) -> None:
    conditions = {"first": "c1", "second": "c2"}

    def variant(holds: Mapping[str, bool]) -> Any:
        return variants[2 * holds["first"] + holds["second"]]

    tree = under_conditions(conditions, variant)
    for first in (False, True):
        for second in (False, True):
            expected = variant({"first": first, "second": second})
            assert resolved(tree, {"c1": first, "c2": second}) == expected


def test_only_what_differs_depends_on_the_condition() -> None:
    on = {"kind": "A", "ports": [{"name": "x", "port": 1}, {"name": "y"}]}
    off = {"kind": "A", "ports": [{"name": "x", "port": 2}]}
    assert merged("c", on, off) == {
        "kind": "A",
        "ports": [{"name": "x", "port": Choice("c", 1, 2)}, Choice("c", {"name": "y"}, ABSENT)],
    }


def test_equal_variants_have_no_condition() -> None:
    assert merged("c", {"a": [1]}, {"a": [1]}) == {"a": [1]}
