"""Observations of the costs of a cluster."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import strategies as st

from gyrus.contract.operator import AmountView
from gyrus.cost.observation import ApiUse, CostObservation, MachinePrice, MachineReservation, PricedMachine

GIB = 2**30
NAMES = ("a", "b", "c")


def machine(price: float | None, total: AmountView, name: str = "m", **reserved: AmountView) -> PricedMachine:
    """Return a machine on demand, with what APIs reserve on it."""
    return PricedMachine(
        name=name,
        price=None if price is None else MachinePrice(usd=price, on_demand=price),
        total=total,
        reservations=tuple(MachineReservation(api=api, amount=amount) for api, amount in reserved.items()),
    )


def observation(
    *machines: PricedMachine,
    at: float = 0.0,
    apis: Mapping[str, ApiUse] | None = None,
    shared: Mapping[str, float] | None = None,
) -> CostObservation:
    return CostObservation(at=at, machines=machines, apis=apis or {}, shared=shared or {})


def amounts() -> st.SearchStrategy[AmountView]:
    return st.builds(
        AmountView,
        cpu=st.floats(0, 96, allow_nan=False),
        mem=st.integers(0, 64 * GIB),
        gpu=st.integers(0, 8),
    )


def machines() -> st.SearchStrategy[PricedMachine]:
    prices = st.none() | st.builds(
        MachinePrice, usd=st.floats(0, 100, allow_nan=False), on_demand=st.floats(0, 100, allow_nan=False)
    )
    reservations = st.builds(MachineReservation, api=st.sampled_from(NAMES), amount=amounts())
    return st.builds(
        PricedMachine,
        name=st.just("m"),
        price=prices,
        total=amounts(),
        reservations=st.lists(reservations, max_size=5).map(tuple),
    )


def observations(times: st.SearchStrategy[float] | None = None) -> st.SearchStrategy[CostObservation]:
    uses = st.builds(
        ApiUse,
        requests=st.none() | st.integers(0, 10_000),
        busy=st.floats(0, 2, allow_nan=False),
        at_zero=st.booleans(),
        replica=amounts(),
    )
    return st.builds(
        CostObservation,
        at=st.just(0.0) if times is None else times,
        machines=st.lists(machines(), max_size=3).map(tuple),
        shared=st.dictionaries(st.sampled_from(("EKS", "NAT")), st.floats(0, 1, allow_nan=False)),
        apis=st.dictionaries(st.sampled_from(NAMES), uses),
    )
