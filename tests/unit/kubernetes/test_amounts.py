"""Quantities, and what nodes offer and pods request."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.kubernetes.amounts import allocatable, fits_into, quantity, requested, total_of

amounts = st.dictionaries(
    st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), st.integers(0, 9).map(Decimal)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("24581684Ki", 24581684 * 1024),
        ("1.5Gi", 1.5 * 2**30),
        ("100m", 0.1),
        ("129e6", 129e6),
        ("1E3", 1000),
        ("2E", 2e18),
        ("12k", 12000),
        ("5u", 5e-6),
        (".5", 0.5),
        ("5.", 5),
        (4, 4),
    ],
)
def test_a_quantity(text: str | int, value: float) -> None:
    assert float(quantity(text)) == value


@pytest.mark.parametrize("text", ["", "many", "1 Gi", "1KI", "m"])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


def container(cpu: str, memory: str = "0", **more: Any) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


def test_a_pod_requests_its_containers_together() -> None:
    pod = {"spec": {"containers": [container("100m", "1Ki"), container("1", "2Ki"), {}]}}
    assert requested(pod) == {"cpu": Decimal("1.1"), "memory": 3072}


def test_an_init_container_may_request_more_than_those_that_follow() -> None:
    spec = {"containers": [container("1", "2Ki")], "initContainers": [container("500m", "9Ki")]}
    assert requested({"spec": spec}) == {"cpu": 1, "memory": 9216}


def test_an_init_container_that_runs_on_counts_with_the_others() -> None:
    beside = container("1", restartPolicy="Always")
    spec = {"containers": [container("1")], "initContainers": [beside, container("3")]}
    assert requested({"spec": spec})["cpu"] == 4
    assert requested({"spec": {**spec, "containers": [container("5")]}})["cpu"] == 6


def test_the_overhead_of_a_pod_counts() -> None:
    assert requested({"spec": {"containers": [container("1")], "overhead": {"cpu": "250m"}}})[
        "cpu"
    ] == Decimal("1.25")


def test_an_object_without_amounts_requests_and_offers_nothing() -> None:
    assert requested({}) == {}
    assert allocatable({"status": {}}) == {}


@given(amounts, amounts)
def test_a_part_fits_into_the_whole(first: dict[str, Decimal], second: dict[str, Decimal]) -> None:
    whole = total_of((first, second))
    assert fits_into(first, whole)
    assert fits_into(whole, first) == (not any(second.values()))


@pytest.mark.parametrize(
    ("text", "expected"), [("20Gi", 20 * 2**30), ("1.5G", 1_500_000_000), ("64Ki", 65536), ("7", 7)]
)
def test_a_quantity_in_bytes(text: str, expected: int) -> None:
    assert int(quantity(text)) == expected
