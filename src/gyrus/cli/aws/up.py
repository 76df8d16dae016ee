"""The command ``gyrus cluster up``: a cluster on AWS, with gyrus on it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrus.cli.aws.account import (
    ClusterAccount,
    carried_out,
    cluster_account,
    connected,
    file_option,
    remember_cluster,
)
from gyrus.cli.aws.price_table import price_table
from gyrus.cli.cluster import remember_operator
from gyrus.cli.failures import CommandFailure
from gyrus.cli.output import bold, print_json, print_note, print_result, warning
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.client.environments import ClusterPlace

if TYPE_CHECKING:
    from gyrus.cluster.aws.cluster_stacks import ClusterStacks
    from gyrus.cluster.aws.preflight.facts import ObservedAccount
    from gyrus.cluster.aws.prices.price_list import PriceList
    from gyrus.cluster.aws.prices.table import PriceTable
    from gyrus.cluster.changes import ObjectChange
    from gyrus.cluster.health import PartHealth
    from gyrus.cluster.overview import Overview
    from gyrus.kubernetes.client import ClusterClient

NODES_WITHIN = 900
"""Seconds within which the first node must be ready."""
HEALTHY_WITHIN = 600
"""Seconds within which operator, gateways and their load balancers must be ready."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A cluster that may be created, and its price."""

    account: ClusterAccount
    observed: ObservedAccount
    prices: PriceList
    table: PriceTable
    """The unit prices."""

    @property
    def bucket(self) -> str:
        """The name of the cluster's bucket."""
        from gyrus.cluster.aws.resource_names import bucket_name

        return bucket_name(self.account.spec, self.observed.identity.account)


@click.command("up", cls=Command)
@file_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@pass_session
def up(session: CliSession, file: Path, yes: bool) -> None:
    """Create a cluster on AWS with gyrus on it, or go on with a creation that was interrupted.

    It checks the account first, shows the price, and asks. Needs AWS credentials.
    """
    account = cluster_account(file)
    account.installation()  # a fault of the values file is found before anything is created
    checked = carried_out(check(account))
    show_prices(checked)
    spec = account.spec
    confirm(f"Create the cluster {spec.cluster_name} in {spec.region}?", yes=yes)
    found, name, url = carried_out(create(session, checked))
    if session.json:
        print_json(_as_data(checked, found, name, url))
        return
    print_result(f"The cluster {spec.cluster_name} runs in {spec.region}, with gyrus {found.version}.")
    print_result(f"  APIs:     {found.gateway.missing or found.gateway.endpoints + '/NAME'}")
    print_result(f"  Operator: {url}")
    print_result(f"Deploy with: gyrus -e {bold(name)} deploy, or by default after: gyrus env use {name}")


async def check(account: ClusterAccount) -> Checked:
    """Check an account, and price the cluster. Raises CommandFailure and AwsError."""
    from gyrus.cluster.aws.calls import AwsCalls
    from gyrus.cluster.aws.preflight.check import notes, problems
    from gyrus.cluster.aws.preflight.observe import observe
    from gyrus.cluster.aws.preflight.zones import chosen_zones
    from gyrus.cluster.aws.prices.price_list import hourly_prices
    from gyrus.cluster.aws.regions import home_region

    spec, now = account.spec, datetime.now(UTC)
    observed = await observe(
        account.aws,
        spec,
        home=AwsCalls(home_region(spec.region)),
    )
    print_note(f"AWS account {observed.identity.account}, as {observed.identity.arn}")
    found = problems(spec, observed, now)
    for note in notes(spec, observed):
        print_note(warning(str(note)))
    for problem in found:
        if not problem.is_error:
            print_note(warning(str(problem)))
    if errors := [str(problem) for problem in found if problem.is_error]:
        raise CommandFailure(
            f"The account cannot have the cluster {spec.cluster_name} as {account.file} describes it.",
            details="\n".join(errors),
            remedy="Nothing was created. Remove the causes, and run gyrus cluster up again.",
        )
    table = await price_table(account, now)
    prices = hourly_prices(spec, chosen_zones(spec, observed), table, today=now.date())
    return Checked(account, observed, prices, table)


def show_prices(checked: Checked) -> None:
    """Print the price on stderr: the question follows it."""
    from gyrus.cli.prices import drawn_prices

    print_note(f"\n{drawn_prices(checked.prices)}\n")


async def create(session: CliSession, checked: Checked) -> tuple[Overview, str, str]:
    """Create the cluster with gyrus on it.

    Returns the installation, the environment's name and the operator's URL. Raises CommandFailure, AwsError,
    ClusterError and KubernetesError.
    """
    from gyrus.cluster.aws.creation import Creation
    from gyrus.cluster.aws.recorded_file import record

    account = checked.account
    creation = Creation(account.aws, await cluster_stacks(checked), print_note)
    base = await creation.make_stacks()
    context = remember_cluster(await creation.cluster())
    print_note(f"The context {context} is in the kubeconfig")
    async with connected(context) as client:
        await _nodes(client)
        await creation.finish_stacks()
        await _store(client, account)
        found = await install(client, checked, base.outputs)
    await record(account.aws, checked.bucket, account.file.read_text("utf-8"))
    return found, *_remember(session, context, found)


async def cluster_stacks(checked: Checked) -> ClusterStacks:
    """Return the stacks of a cluster, with what its account decides. Raises AwsError."""
    from gyrus.cluster.aws.bucket import bucket_exists
    from gyrus.cluster.aws.cluster_stacks import ClusterStacks, stack_facts
    from gyrus.cluster.aws.preflight.zones import chosen_zones, group_zones
    from gyrus.cluster.aws.templates.account_facts import AccountFacts

    account, observed = checked.account, checked.observed
    spec = account.spec
    ranges = (vpc.ranges for vpc in (observed.vpcs or {}).values())
    fresh = AccountFacts(
        zones=() if spec.subnets else chosen_zones(spec, observed),
        vpc_ranges=tuple(one for each in ranges for one in each),
    )
    has_data = partial(bucket_exists, account.aws, checked.bucket)
    facts = await stack_facts(account.stacks, spec.cluster_name, fresh, has_data)
    return ClusterStacks(spec, account.stacks, facts, group_zones(spec, observed))


async def _nodes(client: ClusterClient) -> None:
    """Wait until a node is ready. Raises ClusterError."""
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.aws.ready_nodes import until_node_ready

    print_note("Waiting until a node is ready")
    await until_node_ready(client, timeout=NODES_WITHIN, clock=SystemClock())


async def _store(client: ClusterClient, account: ClusterAccount) -> None:
    """Create the Secret of the operators' database, if there is one and the Secret is missing."""
    from gyrus.cluster.aws.installation import PASSWORD_VARIABLE
    from gyrus.cluster.aws.store_secret import create_store_secret

    if account.spec.two_operators:
        await create_store_secret(client, account.spec, os.environ.get(PASSWORD_VARIABLE))


async def install(client: ClusterClient, checked: Checked, base: Mapping[str, str]) -> Overview:
    """Install gyrus, and wait until it is healthy. ``base``: the outputs of the base stack.

    Raises ClusterError and KubernetesError.
    """
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.aws.device_plugins import device_plugins
    from gyrus.cluster.aws.installed import until_reachable
    from gyrus.cluster.aws.karpenter_pools import apply_pools
    from gyrus.cluster.aws.prices.price_list import shared_costs
    from gyrus.cluster.install import Installer
    from gyrus.cluster.waiting import until_healthy

    account, clock, now = checked.account, SystemClock(), datetime.now(UTC)
    costs = shared_costs(account.spec, base["Zones"].split(","), checked.table, today=now.date())
    wanted = account.installation(base, costs)
    installer = Installer(client, _report_change)
    for plugin in device_plugins(account.spec):
        await client.apply(plugin)
    await apply_pools(client, account.spec, base, lambda line: print_note(warning(line)))
    await installer.install(wanted, datetime.now(UTC))
    await until_healthy(client, wanted.namespace, report=_report_part, timeout=HEALTHY_WITHIN, clock=clock)
    found = await until_reachable(client, wanted.namespace, timeout=HEALTHY_WITHIN, clock=clock)
    # The operator shows the address of the endpoints to clients, and it is known now.
    await installer.install(wanted, datetime.now(UTC))
    await until_healthy(client, wanted.namespace, report=_report_part, timeout=HEALTHY_WITHIN, clock=clock)
    return found


def _report_change(change: ObjectChange) -> None:
    if change.outcome != "unchanged":
        print_note(str(change))


def _report_part(part: PartHealth) -> None:
    print_note(str(part))


def _remember(session: CliSession, context: str, found: Overview) -> tuple[str, str]:
    """Add the operator to the environments. Returns its name and URL. Raises CommandFailure."""
    if found.credentials is None:
        message = "The installation has lost its Secrets with the token and the certificate."
        raise CommandFailure(message, remedy=found.repair)
    url = found.operator.url("https")
    place = ClusterPlace(context, found.namespace)
    return remember_operator(session.home, place, url, found.credentials), url


def _as_data(checked: Checked, found: Overview, name: str, url: str) -> dict[str, Any]:
    spec, prices = checked.account.spec, checked.prices
    return {
        "cluster_name": spec.cluster_name,
        "region": spec.region,
        "account": checked.observed.identity.account,
        "version": found.version,
        "environment": name,
        "operator": url,
        "gateway": None if found.gateway.missing else found.gateway.endpoints,
        "usd_per_hour": {"minimum": prices.at_minimum, "maximum": prices.at_maximum},
    }
