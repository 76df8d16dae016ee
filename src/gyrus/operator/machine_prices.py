"""The price of each machine: as it was set, as its node states it, or by AWS's price table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gyrus.backends.protocol import RunningMachine
from gyrus.cluster.aws.prices.table import PriceTable, instance, packaged_prices
from gyrus.contract.cluster import PRICE_LABEL
from gyrus.cost.observation import MachinePrice

LOCAL_REMEDY = "Start the platform with the price of this machine: gyrus down, then gyrus up --price 0.10"
CLUSTER_REMEDY = f"Set the price of each node: kubectl label node NODE {PRICE_LABEL}=0.10"


def nothing_attached(machine: RunningMachine) -> float:
    return 0.0


@dataclass(frozen=True, slots=True)
class MachinePrices:
    """Returns the price of a machine."""

    fixed: float | None = None
    """The price of every machine, in US dollars per hour. None if each has its own."""
    table_of: Callable[[str], PriceTable] = packaged_prices
    """Returns the prices of a region of AWS, as they are known now."""
    attached: Callable[[RunningMachine], float] = nothing_attached
    """Returns the price of what a machine of AWS has besides its instance: US dollars per hour."""

    def __call__(self, machine: RunningMachine) -> MachinePrice | None:
        stated = self.fixed if self.fixed is not None else machine.price
        if stated is not None:
            return MachinePrice(usd=stated, on_demand=stated)
        found = price_on_aws(machine, self.table_of(machine.region)) if machine.region else None
        if found is None:
            return None
        attached = self.attached(machine)
        return MachinePrice(usd=found.usd + attached, on_demand=found.on_demand + attached)


def price_on_aws(machine: RunningMachine, table: PriceTable) -> MachinePrice | None:
    """Return the price of an instance. A spot instance without a known spot price has that on demand."""
    on_demand = table.get(instance(machine.instance_type))
    if on_demand is None:
        return None
    zones = (machine.zone,) if machine.zone else ()
    found = table.spot_prices(machine.instance_type, zones) if machine.spot else ()
    usd = min((price.usd for price in found), default=on_demand.usd)
    return MachinePrice(usd=usd, on_demand=on_demand.usd)
