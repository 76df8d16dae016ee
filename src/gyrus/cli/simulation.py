"""The work of ``gyrus simulate``: read the input, simulate it, report the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gyrus.autoscaling.policy import Policy
from gyrus.cli.drawing import check_drawable, draw
from gyrus.cli.failures import WrongInput
from gyrus.cli.figures import distances_table, figures_table
from gyrus.cli.node_simulation import (
    NodeOptions,
    VirtualCluster,
    cluster_chart,
    cluster_text,
    virtual_cluster,
)
from gyrus.cli.output import counted, duration, print_json, print_note, print_result
from gyrus.cli.session import CliSession
from gyrus.cli.suggestions import nearest
from gyrus.cli.work_progress import WorkProgress
from gyrus.simulator.baselines import COMPARED, PolicyContext, make
from gyrus.simulator.chart import PLOT, Chart, Curve, svg
from gyrus.simulator.engine import simulate
from gyrus.simulator.figures import SLO_FACTOR, Figures, of_run, report
from gyrus.simulator.load import concurrency
from gyrus.simulator.nodes.cluster_chart import cluster_svg
from gyrus.simulator.nodes.cluster_figures import cluster_figures, cluster_report
from gyrus.simulator.nodes.cluster_run import ClusterRun, simulate_cluster
from gyrus.simulator.offered_load import OfferedLoad, ServingRules
from gyrus.simulator.run import Run
from gyrus.simulator.service import ServiceTimes, Spread
from gyrus.simulator.trace import Trace, TraceError, read
from gyrus.simulator.tuning import Goal, Tuned, tune
from gyrus.spec.api import ApiSpec
from gyrus.spec.load import load
from gyrus.spec.realtime import RealtimeSpec

BEST = COMPARED[-1]
PRESENT, TUNED = "present", "tuned"
MANY = 100_000
"""Requests and seconds; larger workloads show their progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateOptions:
    """The command's options."""

    trace: Path
    service: ServiceTimes
    startup: Spread
    policies: tuple[str, ...]
    compare: bool
    price: float | None
    slo: float | None
    plot: Path | None
    tune: bool
    allowed: float
    first: float | None
    scale: float
    speed: float
    seed: int
    name: str | None
    nodes: NodeOptions

    @property
    def chosen_policies(self) -> tuple[str, ...]:
        """The policies to simulate, each once."""
        return tuple(dict.fromkeys((*(COMPARED if self.compare else ()), *self.policies))) or COMPARED[:1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """One API under one trace."""

    spec: RealtimeSpec
    offered_load: OfferedLoad
    rules: ServingRules

    @property
    def is_long(self) -> bool:
        return len(self.offered_load) + self.offered_load.arrivals[-1] >= MANY

    def run(self, policy: str, on_progress: Callable[[float], None] = lambda share: None) -> Run:
        return simulate(self.offered_load, self.rules, self._policy(policy), policy, on_progress)

    def run_on_nodes(
        self, policy: str, cluster: VirtualCluster, scaler: str, on_progress: Callable[[float], None]
    ) -> ClusterRun:
        return simulate_cluster(
            self.offered_load, self.rules, self._policy(policy), cluster.rules, scaler, on_progress
        )

    def _policy(self, name: str) -> Policy:
        situation = PolicyContext(
            spec=self.spec, offered_load=self.offered_load, startup=self.rules.startup.typical
        )
        return make(name, situation)


def simulate_file(session: CliSession, path: Path, wanted: SimulateOptions) -> None:
    """Run the command. Raises WrongInput and SpecError."""
    wanted.nodes.check()
    if wanted.plot:
        check_drawable(wanted.plot)
    simulation = _prepared(path, wanted)
    if wanted.nodes.cluster is not None:
        _simulate_nodes(session, simulation, wanted, wanted.nodes.cluster)
    elif wanted.tune:
        _tune(session, simulation, wanted)
    else:
        _compare(session, simulation, wanted)


def traffic(file: Path, *, first: float | None, scale: float, speed: float) -> Trace:
    """Read a trace and shorten, thin and speed it up as requested. Raises WrongInput."""
    try:
        trace = read(file)
    except TraceError as error:
        raise WrongInput(str(error)) from error
    trace = trace if first is None else trace.first(first)
    trace = trace.thinned(scale).faster(speed)
    if not len(trace):
        raise WrongInput(
            f"No requests of {file} are left.", remedy="Choose a longer --first, or a larger --scale."
        )
    return trace


def _prepared(path: Path, wanted: SimulateOptions) -> Simulation:
    if wanted.tune and (wanted.compare or wanted.policies or wanted.plot):
        raise WrongInput("--tune cannot be combined with --policy, --compare or --plot.")
    if wanted.nodes.cluster is not None:
        _check_with_nodes(wanted)
    spec = _chosen(path, wanted.name)
    trace = traffic(wanted.trace, first=wanted.first, scale=wanted.scale, speed=wanted.speed)
    try:
        offered_load = OfferedLoad.of(trace, wanted.service, wanted.seed)
    except ValueError as error:
        raise WrongInput(f"--service-time: {error}.") from error
    return Simulation(
        spec=spec, offered_load=offered_load, rules=ServingRules.of(spec, wanted.startup, wanted.seed)
    )


def _check_with_nodes(wanted: SimulateOptions) -> None:
    """Check the options beside --cluster. Raises WrongInput."""
    if wanted.tune or wanted.price is not None:
        other = "--tune" if wanted.tune else "--price"
        why = "" if wanted.tune else ": its nodes have prices"
        raise WrongInput(f"{other} cannot be combined with --cluster{why}.")
    if len(set(wanted.policies)) > 1:
        raise WrongInput(
            "--cluster takes one --policy, which scales the replicas.",
            remedy="Repeat --scaler for several policies that plan the nodes.",
        )


def _chosen(path: Path, name: str | None) -> RealtimeSpec:
    file = load(path, files=False)
    by_name = {spec.name: spec for spec in file.apis}
    if name is None and len(by_name) == 1:
        return _simulated(file.apis[0])
    known = ", ".join(by_name)
    if name is None:
        raise WrongInput(f"{file.path} has several APIs: {known}.", remedy="Choose one with --api NAME.")
    if name not in by_name:
        raise WrongInput(f"{file.path} has no API {name}; it has {known}.{nearest(name, by_name)}")
    return _simulated(by_name[name])


def _simulated(spec: ApiSpec) -> RealtimeSpec:
    if not isinstance(spec, RealtimeSpec):
        raise WrongInput(f"{spec.name} is a {spec.kind}; gyrus can simulate a RealtimeAPI alone.")
    return spec


def _compare(session: CliSession, simulation: Simulation, wanted: SimulateOptions) -> None:
    runs = list(_runs(simulation, wanted.chosen_policies))
    lines = [of_run(run, wanted.slo, wanted.price) for run in runs]
    if session.json:
        print_json(report(simulation.offered_load.name, lines, wanted.slo))
    else:
        _show(simulation, lines, wanted)
    if wanted.plot:
        draw(svg(_chart(simulation, runs)), wanted.plot)
        print_note(f"The chart of load, replicas and queue is in {wanted.plot}.")


def _simulate_nodes(session: CliSession, simulation: Simulation, wanted: SimulateOptions, file: Path) -> None:
    """Run the command with nodes. Raises WrongInput and SpecError."""
    load = simulation.offered_load
    cluster = virtual_cluster(
        file,
        wanted.nodes,
        simulation.spec,
        load,
        simulation.rules,
        compare=wanted.compare,
    )
    [policy] = wanted.policies[:1] or COMPARED[:1]
    runs = list(_runs_on_nodes(simulation, policy, cluster))
    figures = [cluster_figures(run, wanted.slo) for run in runs]
    if session.json:
        print_json(cluster_report(load.name, policy, figures, wanted.slo))
    else:
        print_result(_about(simulation) + f"\n\n{cluster_text(figures)}")
        print_note(f"\nAn SLO miss is an answer later than {_objective(wanted)}, or no answer.")
        print_note("The cost is that of the nodes' instances alone. EC2 and its spot market are simulated.")
    if wanted.plot:
        draw(cluster_svg(cluster_chart(simulation.spec.name, load, cluster.rules, runs)), wanted.plot)
        print_note(f"The chart of nodes and cost is in {wanted.plot}.")


def _runs_on_nodes(simulation: Simulation, policy: str, cluster: VirtualCluster) -> Iterator[ClusterRun]:
    with WorkProgress(f"Simulating {_amount(simulation)} on nodes") as progress:
        for number, scaler in enumerate(cluster.scalers):

            def show(share: float, number: int = number, scaler: str = scaler) -> None:
                progress.show(f"Simulating {scaler}", (number + share) / len(cluster.scalers))

            yield simulation.run_on_nodes(policy, cluster, scaler, show)


def _runs(simulation: Simulation, policies: Sequence[str]) -> Iterator[Run]:
    if not simulation.is_long:
        yield from map(simulation.run, policies)
        return
    with WorkProgress(f"Simulating {_amount(simulation)}") as progress:
        for number, policy in enumerate(policies):

            def show(share: float, number: int = number, policy: str = policy) -> None:
                progress.show(f"Simulating {policy}", (number + share) / len(policies))

            yield simulation.run(policy, show)


def _show(simulation: Simulation, lines: Sequence[Figures], wanted: SimulateOptions) -> None:
    print_result(_about(simulation) + "\n")
    print_result(figures_table(lines))
    best = next((line for line in lines if line.policy == BEST), None)
    if best and len(lines) > 1:
        print_result("\n" + distances_table([line for line in lines if line is not best], best))
    print_note(f"\nAn SLO miss is an answer later than {_objective(wanted)}, or no answer.")


def _about(simulation: Simulation) -> str:
    offered_load = simulation.offered_load
    length = offered_load.arrivals[-1]
    load = f", {sum(offered_load.services) / length:.1f} in progress on average" if length else ""
    return f"{offered_load.name}: {_amount(simulation)}{load}; for {simulation.spec.name}"


def _amount(simulation: Simulation) -> str:
    offered_load = simulation.offered_load
    return f"{counted(len(offered_load), 'request')} in {duration(offered_load.arrivals[-1])}"


def _objective(wanted: SimulateOptions) -> str:
    return f"{SLO_FACTOR:g} × the request's service time" if wanted.slo is None else f"{wanted.slo:g} s"


def _chart(simulation: Simulation, runs: Sequence[Run]) -> Chart:
    offered_load = simulation.offered_load
    length = max(run.ended for run in runs) or 1.0
    return Chart(
        title=f"{simulation.spec.name} under {offered_load.name}",
        start=offered_load.start,
        length=length,
        load=concurrency(offered_load, length / PLOT, length),
        curves=[Curve(name=run.policy, looks=run.looks) for run in runs],
    )


def _tune(session: CliSession, simulation: Simulation, wanted: SimulateOptions) -> None:
    goal = Goal(slo=wanted.slo, allowed=wanted.allowed)
    with WorkProgress(f"Searching for settings with {_amount(simulation)}") as progress:

        def show(tried: int, most: int, share: float) -> None:
            progress.show(f"Tried {tried} of at most {most} settings", min(1.0, (tried + share) / most))

        tuned = tune(simulation.spec, simulation.offered_load, simulation.rules, goal, show)
    present = replace(tuned.present, policy=PRESENT, price=wanted.price)
    best = replace(tuned.best, policy=TUNED, price=wanted.price)
    if session.json:
        data = report(simulation.offered_load.name, [present, best], wanted.slo)
        print_json({**data, "tried": tuned.tried, "met": tuned.met, "autoscaling": tuned.changes})
        return
    print_note(_about(simulation) + "\n")
    print_note(figures_table([present, best]) + "\n")
    print_result(_settings(tuned))
    print_note("\n" + _judgement(tuned, wanted))


def _settings(tuned: Tuned) -> str:
    """Return the YAML to paste."""
    if not tuned.changes:
        return "# found no better settings than the present ones"
    lines = (f"  {name}: {'null' if value is None else value}" for name, value in tuned.changes.items())
    return "\n".join(["autoscaling:", *lines])


def _judgement(tuned: Tuned, wanted: SimulateOptions) -> str:
    hours = tuned.present.replica_hours - tuned.best.replica_hours
    share = hours / tuned.present.replica_hours if tuned.present.replica_hours else 0.0
    what = f"{abs(hours):,.2f} replica-hours ({abs(share):.0%}) {'less' if hours >= 0 else 'more'}"
    found = "meet" if tuned.met else "come closest to"
    goal = f"at most {wanted.allowed:.2%} later than {_objective(wanted)}"
    misses = f"{tuned.present.slo_misses:,} → {tuned.best.slo_misses:,} misses"
    return f"Of {tuned.tried} settings, these {found} the goal ({goal}): {what}, {misses}."
