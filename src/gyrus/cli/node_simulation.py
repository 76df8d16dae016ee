"""The work of ``gyrus simulate --cluster``: requests, replicas and the nodes that they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gyrus.cli.cluster_figures import cluster_distances, cluster_table
from gyrus.cli.failures import WrongInput
from gyrus.cluster.aws.cluster_file import load_cluster
from gyrus.cluster.aws.cluster_spec import ClusterSpec
from gyrus.cluster.aws.instance_types import known_types
from gyrus.cluster.aws.planned_groups import UnknownInstanceType, planned_groups
from gyrus.cluster.aws.prices.table import packaged_prices
from gyrus.nodes.resources import NodeResources
from gyrus.nodes.state import PlannedGroup
from gyrus.simulator.nodes.cluster_chart import ClusterChart, NodesCurve
from gyrus.simulator.nodes.cluster_figures import ClusterFigures
from gyrus.simulator.nodes.cluster_run import ClusterRun
from gyrus.simulator.nodes.node_fleet import WARM_UP
from gyrus.simulator.nodes.policies.by_name import COMPARED_SCALERS
from gyrus.simulator.nodes.recorded_market import RecordedMarket, SpotFileError, read_spot_events
from gyrus.simulator.nodes.spot_market import InstanceMarket, MarketRules, SpotMarket
from gyrus.simulator.nodes.world import NODE_STARTUP, WorldRules
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.service import Spread
from gyrus.spec.realtime import RealtimeSpec

SPOT_RATE = 0.2
"""Share of the spot instances that EC2 interrupts in an hour. AWS reports less; see MarketRules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The command's options about nodes; None and empty: not given."""

    cluster: Path | None
    scalers: tuple[str, ...]
    node_startup: Spread | None
    spot_rate: float | None
    spot_file: Path | None
    spot_seed: int | None

    def check(self) -> None:
        """Check that options about nodes come with a cluster. Raises WrongInput."""
        given = {
            "--scaler": self.scalers,
            "--node-startup": self.node_startup,
            "--spot-rate": self.spot_rate is not None,
            "--spot-file": self.spot_file,
            "--spot-seed": self.spot_seed is not None,
        }
        if self.cluster is None and (alone := [name for name, value in given.items() if value]):
            raise WrongInput(
                f"{alone[0]} is about nodes, and no cluster is given.", remedy="Add --cluster cluster.yaml."
            )
        if self.spot_file is not None and self.spot_rate is not None:
            raise WrongInput(
                "--spot-rate and --spot-file both describe the spot market.",
                remedy="Keep one of them.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualCluster:
    """The cluster of a simulation, and the policies that are to plan its nodes."""

    rules: WorldRules
    scalers: tuple[str, ...]


def virtual_cluster(
    file: Path,
    options: NodeOptions,
    spec: RealtimeSpec,
    load: OfferedLoad,
    serving: ServingRules,
    *,
    compare: bool,
) -> VirtualCluster:
    """Read a cluster.yaml into a virtual cluster for one API. Raises WrongInput and SpecError.

    ``compare``: simulate all policies for nodes.
    """
    cluster = load_cluster(file)
    groups = _groups(cluster, options.node_startup or NODE_STARTUP)
    rules = WorldRules(
        groups=groups,
        requests=_requests(spec),
        allowed=spec.node_groups or (),
        pod_startup=serving.startup,
        node_startup=options.node_startup or NODE_STARTUP,
        markets=_markets(groups, options, load, serving.seed),
        seed=serving.seed,
    )
    _check_fit(spec, rules, file)
    compared = COMPARED_SCALERS if compare else ()
    scalers = tuple(dict.fromkeys((*compared, *options.scalers))) or (cluster.scaler,)
    return VirtualCluster(rules=rules, scalers=scalers)


def cluster_text(figures: Sequence[ClusterFigures]) -> str:
    """Return the report of a cluster as tables."""
    text = cluster_table(figures)
    best = next((one for one in figures if one.scaler == COMPARED_SCALERS[0]), None)
    if best is None or len(figures) < 2:
        return text
    return f"{text}\n\n{cluster_distances([one for one in figures if one is not best], best)}"


def cluster_chart(
    name: str, load: OfferedLoad, rules: WorldRules, runs: Sequence[ClusterRun]
) -> ClusterChart:
    """Return the chart of a cluster under one or several policies."""
    return ClusterChart(
        title=f"Nodes for {name} under {load.name}",
        start=load.start,
        length=max(run.run.ended for run in runs) or 1.0,
        replicas_per_node=rules.replicas_per_node,
        curves=[NodesCurve(name=run.run.policy, samples=run.samples) for run in runs],
    )


def _groups(cluster: ClusterSpec, startup: Spread) -> tuple[PlannedGroup, ...]:
    try:
        return planned_groups(cluster, known_types(), packaged_prices(cluster.region), startup.typical)
    except UnknownInstanceType as error:
        raise WrongInput(
            f"{error}, so it cannot simulate its nodes.",
            remedy="Choose a type of the same size that it knows.",
        ) from error


def _requests(spec: RealtimeSpec) -> NodeResources:
    compute = spec.compute
    return NodeResources(cpu=round(compute.cpu * 1000), memory=compute.mem or 0, gpu=compute.gpu)


def _markets(
    groups: Sequence[PlannedGroup], options: NodeOptions, load: OfferedLoad, seed: int
) -> dict[str, InstanceMarket]:
    """Return a spot market for each group, as seeded or as in a file. Raises WrongInput."""
    seed = seed if options.spot_seed is None else options.spot_seed
    if options.spot_file is None:
        rules = MarketRules.at_rate(SPOT_RATE if options.spot_rate is None else options.spot_rate)
        length = WARM_UP + load.arrivals[-1] + 86_400
        return {one.name: SpotMarket(one.name, length, rules, seed) for one in groups}
    try:
        events = read_spot_events(options.spot_file, [one.name for one in groups])
    except SpotFileError as error:
        raise WrongInput(str(error)) from error
    return {one.name: RecordedMarket(one.name, events, seed, WARM_UP) for one in groups}


def _check_fit(spec: RealtimeSpec, rules: WorldRules, file: Path) -> None:
    """Check that a replica fits on an empty node. Raises WrongInput."""
    names = [one.name for one in rules.groups]
    if missing := [name for name in rules.allowed if name not in names]:
        raise WrongInput(
            f"{spec.name} has node_groups: {missing[0]}, and {file} has the groups {', '.join(names)}.",
            remedy="Correct node_groups, or add the group.",
        )
    allowed = [one for one in rules.groups if not rules.allowed or one.name in rules.allowed]
    if not any(rules.requests.fits(one.allocatable) and one.max_nodes for one in allowed):
        offers = "; ".join(f"{one.name} offers {one.allocatable}" for one in allowed)
        raise WrongInput(
            f"A replica of {spec.name} requests {rules.requests}, and no node of {file} has it: {offers}.",
            remedy="Choose a larger instance_type, or request less in compute.",
        )
