"""The command ``gyrus cluster configure``: brings a cluster to its changed cluster.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
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
from gyrus.cli.aws.up import Checked, check, cluster_stacks, install
from gyrus.cli.output import print_json, print_note, print_result, table
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cluster.aws.cluster_change import ClusterChange
    from gyrus.cluster.aws.cluster_stacks import ClusterStacks
    from gyrus.cluster.aws.prices.price_list import PriceList
    from gyrus.cluster.aws.stack_state import ResourceChange

HEADERS = ("STACK", "RESOURCE", "CHANGE", "PROPERTIES")


@dataclass(frozen=True, slots=True)
class Planned:
    """A change of a cluster that is ready to be carried out."""

    checked: Checked
    parts: ClusterStacks
    change: ClusterChange
    before: PriceList | None
    """The price as the cluster is now. None if its cluster.yaml is not known."""


@click.command("configure", cls=Command)
@file_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for a confirmation.")
@pass_session
def configure(session: CliSession, file: Path, yes: bool) -> None:
    """Bring a cluster to its cluster.yaml: show what changes and what it costs, ask, and apply it.

    Node groups change one after the other, and their nodes are replaced without a failed request.
    """
    account = cluster_account(file)
    account.installation()  # a fault of the values file is found before anything is changed
    planned = carried_out(_plan(account))
    _show(planned)
    spec = account.spec
    try:
        confirm(f"Change the cluster {spec.cluster_name} in {spec.region}?", yes=yes)
    except BaseException:
        carried_out(_discard(planned))
        raise
    carried_out(_apply(planned))
    if session.json:
        print_json(_as_data(planned))
        return
    print_result(f"The cluster {spec.cluster_name} is as {file} describes it.")


async def _plan(account: ClusterAccount) -> Planned:
    """Check the account, and prepare the change. Raises CommandFailure and AwsError."""
    from gyrus.cluster.aws.cluster_change import prepare_change
    from gyrus.cluster.aws.prices.price_list import hourly_prices
    from gyrus.cluster.aws.recorded_file import recorded

    checked = await check(account)
    parts = await cluster_stacks(checked)
    earlier = await recorded(account.aws, checked.bucket)
    today = datetime.now(UTC).date()
    before = hourly_prices(earlier, parts.facts.zones, checked.table, today=today) if earlier else None
    return Planned(checked, parts, await prepare_change(parts), before)


async def _discard(planned: Planned) -> None:
    from gyrus.cluster.aws.cluster_change import discard

    await discard(planned.parts, planned.change)


async def _apply(planned: Planned) -> None:
    """Apply a change to the stacks, and gyrus's settings to the cluster. Raises AwsError."""
    from gyrus.aio.clock import SystemClock
    from gyrus.cluster.aws.cluster_change import ChangeExecution
    from gyrus.cluster.aws.creation import Creation
    from gyrus.cluster.aws.node_rollout import NodeRollout
    from gyrus.cluster.aws.recorded_file import record

    account, parts = planned.checked.account, planned.parts
    cluster = await Creation(account.aws, parts, print_note).cluster()
    async with connected(remember_cluster(cluster)) as client:
        # The operator learns of new groups before they need nodes, and of removed ones before they end.
        await install(client, planned.checked, await parts.outputs())
        rollout = NodeRollout(account.aws, client, account.spec, SystemClock(), print_note)
        await ChangeExecution(account.aws, parts, rollout.renew, rollout.empty).run(planned.change)
    await record(account.aws, planned.checked.bucket, account.file.read_text("utf-8"))


def _show(planned: Planned) -> None:
    """Print the plan on stderr: the question follows it."""
    from gyrus.cli.prices import drawn_change, drawn_prices

    rows = [_row(change) for change in planned.change.changes]
    rows += [(f"gyrus-{name}", "", "remove", "the node group, with its nodes") for name in _removed(planned)]
    if rows:
        print_note(table(HEADERS, rows))
    else:
        print_note("The stacks do not change. gyrus's settings on the cluster are applied again.")
    after = planned.checked.prices
    if planned.before is None:
        print_note(f"\n{drawn_prices(after)}\n")
    else:
        print_note(f"\n{drawn_change(planned.before, after)}\n")


def _removed(planned: Planned) -> Iterator[str]:
    yield from (f"{planned.checked.account.spec.cluster_name}--{name}" for name in planned.change.removed)


def _row(change: ResourceChange) -> tuple[str, str, str, str]:
    return change.stack, f"{change.resource} ({change.type})", _kind(change), ", ".join(change.properties)


def _kind(change: ResourceChange) -> str:
    """Return what happens to a resource, in words."""
    if change.action == "Modify":
        words = {"True": "replace", "Conditional": "change, or replace if needed"}
        return words.get(change.replacement, "change in place")
    return change.action.lower()


def _as_data(planned: Planned) -> dict[str, Any]:
    before, after = planned.before, planned.checked.prices
    return {
        "cluster_name": planned.checked.account.spec.cluster_name,
        "changes": [
            {
                "stack": change.stack,
                "resource": change.resource,
                "type": change.type,
                "change": _kind(change),
                "properties": list(change.properties),
            }
            for change in planned.change.changes
        ],
        "removed_groups": list(planned.change.removed),
        "usd_per_hour": {
            "before": {"minimum": before.at_minimum, "maximum": before.at_maximum} if before else None,
            "after": {"minimum": after.at_minimum, "maximum": after.at_maximum},
        },
    }
