"""Prices of an emulated AWS, through gyrus's own calls: pages, refusals, and the cost of nodes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gyrus.backends.protocol import RunningMachine
from gyrus.cli.aws.account import ClusterAccount, cluster_account
from gyrus.cli.aws.price_table import price_table
from gyrus.cluster.aws.prices.price_list import hourly_prices
from gyrus.cluster.aws.prices.refresh import PriceRefresh
from gyrus.cluster.aws.prices.table import NAT_GATEWAY, PriceSource, instance, packaged_prices
from gyrus.contract.operator import AmountView
from gyrus.cost.observation import MachinePrice
from gyrus.operator.machine_prices import MachinePrices
from support.aws.account import REGION, AwsAccount
from support.aws.price_list import product

pytestmark = [pytest.mark.processes]
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
TYPES = ("m5.large",)


@pytest.fixture
def account(running: AwsAccount) -> Iterator[AwsAccount]:
    m5 = product("Compute Instance", "0.111", instanceType="m5.large", **LINUX)
    windows = product(
        "Compute Instance", "0.9", instanceType="m5.large", **LINUX | {"operatingSystem": "Windows"}
    )
    gateways = [
        product("NAT Gateway", str(0.01 + number / 100), usagetype=f"EU-{number}-NatGateway-Bytes")
        for number in range(25)
    ]
    hours = product("NAT Gateway", "0.051", usagetype="EU-NatGateway-Hours")
    running.set(products=[m5, windows, *gateways, hours], spot_prices={f"m5.large:{REGION}a": 0.04})
    yield running
    running.set(products=[], spot_prices={}, refusals={})


async def test_prices_of_the_services_replace_those_of_the_package(account: AwsAccount):
    calls = account.calls()
    refresh = PriceRefresh(REGION, ec2=calls, pricing=calls)
    table = await refresh.refresh(TYPES, NOW)
    assert refresh.failure == ""
    found = table.get(instance("m5.large"))
    assert found is not None
    assert (found.usd, found.source) == (0.111, PriceSource.PRICING_API)
    gateway = table.get(NAT_GATEWAY)
    assert gateway is not None
    assert gateway.usd == 0.051  # on the second page
    machine = RunningMachine(
        name="n",
        total=AmountView(cpu=2, mem=2**33, gpu=0),
        instance_type="m5.large",
        spot=True,
        region=REGION,
        zone=f"{REGION}a",
    )
    assert MachinePrices(table_of=lambda _: table)(machine) == MachinePrice(usd=0.04, on_demand=0.111)


async def test_a_refused_price_list_leaves_the_spot_prices(account: AwsAccount):
    account.set(refusals={"pricing:GetProducts": ["AccessDeniedException", "not authorized"]})
    calls = account.calls()
    refresh = PriceRefresh(REGION, ec2=calls, pricing=calls)
    table = await refresh.refresh(TYPES, NOW)
    assert refresh.failure.startswith("The Pricing API did not answer: ")
    assert "pricing" in refresh.failure
    assert table.get(instance("m5.large")) == packaged_prices(REGION).get(instance("m5.large"))
    assert [one.usd for one in table.spot_prices("m5.large", ())] == [0.04]


CLUSTER = f"""\
cluster_name: vision
region: {REGION}
node_groups: [{{name: cpu, instance_type: m5.large, spot: true}}]
"""


@pytest.fixture
def cluster(account: AwsAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterAccount:
    """A cluster.yaml in the account, for commands."""
    for name, value in account.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    return cluster_account(file)


async def test_commands_know_the_prices_of_aws(
    account: AwsAccount, cluster: ClusterAccount, capsys: pytest.CaptureFixture[str]
):
    table = await price_table(cluster, NOW)
    prices = hourly_prices(cluster.spec, (f"{REGION}a",), table, today=NOW.date())
    lines = {line.part: line.lowest for line in prices.lines}
    assert lines["spot nodes of cpu: m5.large"] == 0.04
    account.set(products=[], spot_prices={}, refusals={"pricing:GetProducts": ["InternalError", "down"]})
    later = await price_table(cluster, NOW)  # from the cache
    assert later.get(instance("m5.large")) == table.get(instance("m5.large"))
    assert capsys.readouterr().err == ""


async def test_a_command_without_prices_prints_one_note(
    account: AwsAccount, cluster: ClusterAccount, capsys: pytest.CaptureFixture[str]
):
    account.set(refusals={"pricing:GetProducts": ["AccessDeniedException", "not authorized"]})
    table = await price_table(cluster, NOW)
    assert table.get(instance("m5.large")) == packaged_prices(REGION).get(instance("m5.large"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "Prices are the latest known ones. The Pricing API did not answer: " in line


async def test_a_command_does_not_wait_for_prices(
    account: AwsAccount,
    cluster: ClusterAccount,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("gyrus.cli.aws.price_table.WITHIN", 0.2)
    account.set(delay=60)
    try:
        await price_table(cluster, NOW)
    finally:
        account.set(delay=0)
    err = capsys.readouterr().err
    assert "Prices are the latest known ones. AWS did not state all of them within 0.2 seconds." in err
