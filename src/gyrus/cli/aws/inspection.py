"""``gyrus cluster info`` and ``health`` of a cluster on AWS, by its cluster.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.aws.account import ClusterAccount, carried_out, cluster_account, connected, remember_cluster
from gyrus.cli.aws.price_table import price_table
from gyrus.cli.cluster import environment_name
from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.output import bold, counted, print_json, print_note, print_result, table, warning
from gyrus.cli.overview import overview_data
from gyrus.cli.session import CliSession
from gyrus.contract.nodes import NodesView

if TYPE_CHECKING:
    from gyrus.cluster.aws.eks import EksCluster
    from gyrus.cluster.aws.inspection.checks import PartCheck
    from gyrus.cluster.aws.inspection.facts import ClusterFacts, KubernetesFacts
    from gyrus.cluster.aws.inspection.node_status import NodeStatus
    from gyrus.cluster.aws.inspection.view import ClusterReport
    from gyrus.cluster.aws.prices.table import PriceTable

NODE_HEADERS = ("NODE", "GROUP", "TYPE", "CAPACITY", "ZONE", "STATE", "REPLICAS", "CPU", "MEM", "GPU")
GROUP_HEADERS = ("NODE GROUP", "CAPACITY", "READY", "DESIRED", "MAXIMUM", "OUTDATED", "LAST FAILURE")
GIB = 2**30
CHANGES = 10
"""The latest changes of nodes that are shown."""

optional_file_option = click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path),
    help="The cluster.yaml of a cluster on AWS: shows its account's part, too.",
)


def show_cluster(session: CliSession, file: Path, context: str | None) -> None:
    """Show a cluster on AWS: endpoints, stacks, nodes, prices. Raises CommandFailure."""
    from gyrus.cluster.aws.inspection.view import cluster_report, report_data

    account = _account(file, context)
    now = datetime.now(UTC)
    facts, prices = carried_out(_with_prices(account, now))
    report = cluster_report(account.spec, facts, now, prices)
    planned = _planned(session, account)
    if session.json:
        installed = overview_data(report.installation) if report.installation else None
        data = report_data(report) | {"installation": installed}
        print_json(data | {"planned": None if planned is None else asdict(planned)})
        return
    print_result(table(("", ""), [*_summary(report, now)]).lstrip("\n"))
    if rows := [*_group_rows(report)]:
        print_result(f"\n{table(GROUP_HEADERS, rows)}")
    if report.nodes:
        print_result(f"\n{table(NODE_HEADERS, [_node_row(node) for node in report.nodes])}")
    if planned is not None and (lines := plan_lines(planned)):
        print_result("\n" + "\n".join(lines))
    print_result(f"\n{_prices(report)}")
    for name, part in report.unread.items() if report.facts.eks is not None else ():
        print_note(warning(f"{name.replace('_', ' ')}: {part.message} {part.remedy}".rstrip()))


def _planned(session: CliSession, account: ClusterAccount) -> NodesView | None:
    """Return the nodes as the operator plans them. None if this machine does not reach it."""
    from gyrus.client.client import Client
    from gyrus.client.environments import Environments
    from gyrus.client.errors import ClientError
    from gyrus.cluster.aws.kubeconfig import context_name

    context = context_name(account.spec.cluster_name, account.spec.region)
    name = environment_name(context, account.spec.gyrus.namespace)
    if name not in Environments.load(session.home).entries:
        return None
    try:
        with Client(name) as client:
            return client.nodes()
    except ClientError as error:
        print_note(warning(f"The operator's plan of the nodes is not known: {error}"))
        return None


def plan_lines(planned: NodesView) -> list[str]:
    """Return the reasons behind the nodes: what cannot be had, and the latest changes, the newest last.

    >>> plan_lines(NodesView(scaler="gyrus", fault="no right"))
    ['Nodes cannot be planned: no right']
    """
    lines = [f"Nodes cannot be planned: {planned.fault}"] if planned.fault else []
    lines += [f"Without a node: {one}" for one in planned.unplaced]
    lines += [
        f"{pool.group}/{pool.capacity_type} gets no new nodes until {pool.barred_until}: {pool.failure}"
        for pool in planned.pools
        if pool.barred_until
    ]
    lines += [f"Failed, and tried again: {one}" for one in planned.failures]
    return lines + [f"{change.time}  {change.message}" for change in planned.changes[-CHANGES:]]


def check_cluster(session: CliSession, file: Path, context: str | None) -> None:
    """Check a cluster on AWS, a line for each part. Raises CommandFailure if one is not healthy."""
    from gyrus.cluster.aws.inspection.checks import part_checks

    account = _account(file, context)
    now = datetime.now(UTC)
    checks = part_checks(account.spec, carried_out(_observed(account, now)), now)
    wrong = [check for check in checks if not check.healthy]
    if session.json:
        print_json({"cluster_name": account.spec.cluster_name, "healthy": not wrong, "parts": _data(checks)})
    else:
        for check in checks:
            print_result(f"{_mark(check)} {check}")
    if wrong:
        raise CommandFailure(
            f"The cluster {account.spec.cluster_name} in {account.spec.region} is not healthy.",
            details="\n".join(str(check) for check in wrong) if session.json else "",
            remedy=f"See to {counted(len(wrong), 'part')} above, the first one first"
            if not session.json
            else "See to these parts, the first one first",
        )


def _account(file: Path, context: str | None) -> ClusterAccount:
    if context is not None:
        raise WrongInput(
            "A cluster.yaml names its cluster, and --context another one.",
            remedy="Write one of them: -f FILE, or --context NAME",
        )
    return cluster_account(file)


async def _with_prices(account: ClusterAccount, now: datetime) -> tuple[ClusterFacts, PriceTable]:
    return await _observed(account, now), await price_table(account, now)


async def _observed(account: ClusterAccount, now: datetime) -> ClusterFacts:
    from gyrus.cluster.aws.inspection.observe import ClusterObserver, read_kubernetes

    async def kubernetes(cluster: EksCluster) -> KubernetesFacts:
        async with connected(remember_cluster(cluster)) as client:
            return await read_kubernetes(client, account.spec.gyrus.namespace)

    return await ClusterObserver(account.aws, account.stacks, account.spec, kubernetes).observe(now)


def _summary(report: ClusterReport, now: datetime) -> Iterator[tuple[str, str]]:
    from gyrus.cluster.aws.cluster_stacks import FoundStacks
    from gyrus.cluster.aws.eks import EksCluster
    from gyrus.cluster.aws.inspection.checks import support_of
    from gyrus.cluster.aws.inspection.facts import QueueState
    from gyrus.cluster.aws.resource_names import bucket_name, log_group

    spec, facts, installed = report.spec, report.facts, report.installation
    yield "Cluster", f"{spec.cluster_name} in {spec.region}, account {facts.account}"
    if isinstance(facts.eks, EksCluster):
        yield "Control plane", f"{facts.eks.status}, {support_of(facts.eks.version, now.date())}"
        yield "Kubernetes API", facts.eks.endpoint
    elif facts.eks is None:
        yield "Control plane", "does not exist. Create it with: gyrus cluster up"
    if installed is not None:
        yield "gyrus", f"{installed.version} in the namespace {installed.namespace}"
        yield "Operator", installed.operator.missing or installed.operator.url("https")
        yield "APIs", installed.gateway.missing or f"{installed.gateway.endpoints}/NAME"
        for part in installed.parts:
            yield "", str(part)
    if isinstance(facts.stacks, FoundStacks):
        found = facts.stacks
        stacks = (
            *((found.base,) if found.base else ()),
            *(found.groups[name] for name in sorted(found.groups)),
        )
        for stack in stacks:
            yield "Stack", f"{stack.name} {stack.status}"
    if facts.bucket is True:
        yield "Bucket", bucket_name(spec, facts.account)
    if facts.log_group is True:
        yield "Log group", log_group(spec.cluster_name)
    if isinstance(facts.queue, QueueState):
        yield "Queue", f"{facts.queue.url}, {counted(facts.queue.messages, 'message')}"
    if isinstance(facts.balancers, tuple):
        for one in facts.balancers:
            yield "Load balancer", f"{one.name} {one.state} {one.address}"


def _group_rows(report: ClusterReport) -> Iterator[tuple[str, ...]]:
    from gyrus.cluster.aws.inspection.facts import ScalingFacts

    scaling = report.facts.scaling
    if not isinstance(scaling, ScalingFacts):
        return
    for group in scaling.groups:
        own = [
            node for node in report.nodes if (node.group, node.capacity_type) == (group.group, group.capacity)
        ]
        failure = scaling.failures.get(group.name)
        yield (
            group.group,
            str(group.capacity),
            str(sum(node.state == "ready" for node in own)),
            str(group.desired),
            str(group.largest),
            str(sum(node.outdated for node in own)),
            failure.message if failure else "",
        )


def _node_row(node: NodeStatus) -> tuple[str, ...]:
    used, offered = node.requested, node.allocatable
    cpu, memory, gpu = f"{used.cpu / 1000:g}", f"{used.memory / GIB:.1f}", str(used.gpu)
    if offered is not None:
        cpu += f"/{offered.cpu / 1000:g}"
        memory += f"/{offered.memory / GIB:.1f} GiB"
        gpu = f"{gpu}/{offered.gpu}" if offered.gpu else ""
    state = f"{node.state}, outdated" if node.outdated else node.state
    unknown = offered is None
    return (
        node.name or node.instance,
        node.group,
        node.instance_type,
        str(node.capacity_type),
        node.zone,
        state,
        "" if unknown else str(node.replicas),
        *(("", "", "") if unknown else (cpu, memory, gpu)),
    )


def _prices(report: ClusterReport) -> str:
    from gyrus.cli.money import usd
    from gyrus.cli.prices import drawn_prices

    now = report.now_prices
    over = "over " if now and now.unknown else ""
    running = f"Runs now for {over}{bold(usd(now.at_minimum))} an hour:\n" if now else "Nothing runs.\n"
    parts = [
        (line.part, f"{line.fewest}", "unknown" if line.lowest is None else usd(line.at_minimum), line.note)
        for line in (now.lines if now else ())
    ]
    drawn = f"{table(('PART', 'NUMBER', 'AN HOUR', ''), parts)}\n" if parts else ""
    return f"{running}{drawn}\nBy its file:\n{drawn_prices(report.prices)}"


def _mark(check: PartCheck) -> str:
    return click.style("ok   ", fg="green") if check.healthy else click.style("wrong", fg="red")


def _data(checks: list[PartCheck]) -> list[dict[str, object]]:
    return [
        {"part": check.part, "healthy": check.healthy, "state": check.state, "remedy": check.remedy}
        for check in checks
    ]
