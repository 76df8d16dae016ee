"""The unit prices of a region.

``on_demand.csv`` has the Linux on-demand prices of us-east-1 from AWS's public price list as of 2026-01-19,
as Karpenter's AWS provider publishes it (``zz_generated.pricing_aws.go``). ``regions.csv`` has the prices of
load balancers, NAT gateways and volumes in 23 regions from the same price list as of 2021, as Cortex
publishes it (``resource_metadata.go``). The constants below are rates, or ratios of rates, that are the same
in all regions. Prices are US dollars: the regions in China, with another currency, are not in the table.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files

HOME = "us-east-1"
"""The region whose prices stand in for those that the packaged table does not have."""
HOURS_A_MONTH = 730
"""AWS's own divisor of monthly prices."""
ON_DEMAND_AS_OF = date(2026, 1, 19)
REGIONS_AS_OF = date(2021, 12, 31)

CONTROL_PLANE = "control-plane"
EXTENDED_CONTROL_PLANE = "control-plane-extended"
NAT_GATEWAY = "nat-gateway"
NETWORK_LOAD_BALANCER = "network-load-balancer"
CLASSIC_LOAD_BALANCER = "classic-load-balancer"
PUBLIC_ADDRESS = "public-address"

EVERYWHERE = {CONTROL_PLANE: 0.10, EXTENDED_CONTROL_PLANE: 0.60, PUBLIC_ADDRESS: 0.005}
"""US dollars per hour, the same in all regions."""
CLASSIC_PER_NETWORK = 0.025 / 0.0225
"""The price of a classic load balancer for that of a network load balancer: the ratio in us-east-1."""
GP3_IOPS, GP3_THROUGHPUT = 0.005 / 0.08, 0.04 / 0.08
"""The prices of one operation a second and of one MiB/s of gp3, above those that are included, for the price
of a GiB: the ratios in us-east-1. AWS scales the three alike."""

VOLUME_TYPES = ("gp2", "gp3", "io1", "st1", "sc1")


def instance(name: str) -> str:
    """Return the key of the on-demand price per hour of an instance type."""
    return f"instance:{name}"


def spot(name: str, zone: str) -> str:
    """Return the key of the spot price per hour of an instance type in a zone."""
    return f"spot:{name}:{zone}"


def volume(kind: str) -> str:
    """Return the key of the price of a GiB of a type of volumes for a month."""
    return f"volume:{kind}"


def iops(kind: str) -> str:
    """Return the key of the price of one operation a second for a month."""
    return f"iops:{kind}"


def throughput(kind: str) -> str:
    """Return the key of the price of one MiB/s for a month."""
    return f"throughput:{kind}"


class PriceSource(StrEnum):
    """The origin of a price."""

    PACKAGE = "package"
    """The table in the package, for this region."""
    OTHER_REGION = "other-region"
    """The table in the package, for us-east-1: about right."""
    PRICING_API = "pricing-api"
    SPOT_HISTORY = "spot-history"


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """A price in US dollars, where it comes from, and of when it is."""

    usd: float
    source: PriceSource
    as_of: date


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The unit prices of a region, by the keys that the functions of this module return."""

    region: str
    prices: Mapping[str, UnitPrice]

    def get(self, key: str) -> UnitPrice | None:
        return self.prices.get(key)

    def spot_prices(self, name: str, zones: tuple[str, ...]) -> tuple[UnitPrice, ...]:
        """Return the known spot prices of a type in the zones; of all known zones if none is given."""
        if zones:
            found = (self.prices.get(spot(name, zone)) for zone in zones)
            return tuple(price for price in found if price)
        prefix = spot(name, "")
        return tuple(price for key, price in self.prices.items() if key.startswith(prefix))

    def updated(self, newer: Mapping[str, UnitPrice]) -> PriceTable:
        """Return the table with newer prices in the place of older ones."""
        return PriceTable(self.region, {**self.prices, **newer})


@cache
def packaged_prices(region: str) -> PriceTable:
    """Return the prices of a region as the package knows them."""
    source = PriceSource.PACKAGE if region == HOME else PriceSource.OTHER_REGION
    prices = {
        instance(row["type"]): UnitPrice(float(row[HOME]), source, ON_DEMAND_AS_OF)
        for row in _rows("on_demand.csv")
    }
    prices |= {key: UnitPrice(usd, PriceSource.PACKAGE, ON_DEMAND_AS_OF) for key, usd in EVERYWHERE.items()}
    regions = {row["region"]: row for row in _rows("regions.csv")}
    known = PriceSource.PACKAGE if region in regions else PriceSource.OTHER_REGION
    prices |= {
        key: UnitPrice(usd, known, REGIONS_AS_OF)
        for key, usd in _regional(regions.get(region, regions[HOME])).items()
    }
    return PriceTable(region, prices)


def _regional(row: Mapping[str, str]) -> dict[str, float]:
    network, gp3 = float(row["network_load_balancer"]), float(row["gp3"])
    return {
        NETWORK_LOAD_BALANCER: network,
        CLASSIC_LOAD_BALANCER: network * CLASSIC_PER_NETWORK,
        NAT_GATEWAY: float(row["nat_gateway"]),
        **{volume(kind): float(row[kind]) for kind in VOLUME_TYPES},
        iops("io1"): float(row["io1_iops"]),
        iops("gp3"): gp3 * GP3_IOPS,
        throughput("gp3"): gp3 * GP3_THROUGHPUT,
    }


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("gyrus.cluster.aws.prices") / name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
