"""The command ``gyrus simulate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gyrus.cli.durations import DurationType
from gyrus.cli.option_types import FACTOR, POLICY, PRICE, SCALER, SERVICE, SHARE, SPREAD
from gyrus.cli.session import CliSession, Command, pass_session

FILE = click.Path(path_type=Path, dir_okay=False)
NODE_OPTIONS = ("cluster", "scalers", "node_startup", "spot_rate", "spot_file", "spot_seed")


@click.command("simulate", cls=Command)
@click.argument("path", default=".", type=click.Path(path_type=Path))
@click.option("--trace", required=True, metavar="FILE", type=FILE, help="CSV file with one line per request.")
@click.option(
    "--service-time",
    "service",
    required=True,
    metavar="TIME",
    type=SERVICE,
    help="A request's service time: 120ms, lognormal(120ms, 0.5) (median, sigma), exponential(120ms) (mean), "
    "column, column:NAME or column:NAME*20ms.",
)
@click.option(
    "--startup",
    required=True,
    metavar="TIME",
    type=SPREAD,
    help="Time from ordering a replica until requests reach it: 8s, or lognormal(8s, 0.3).",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    metavar="NAME",
    type=POLICY,
    help="gyrus (the default), cortex, kpa, hpa, clairvoyant or fixed:N. Repeat it for several.",
)
@click.option(
    "--compare",
    is_flag=True,
    help="Run all policies, and show how far each is from clairvoyant; with --cluster: from gyrus.",
)
@click.option("--price", metavar="PRICE", type=PRICE, help="Price of one replica: 0.526/h.")
@click.option(
    "--slo",
    type=DurationType(),
    metavar="DURATION",
    help="Longest latency (default: twice the service time).",
)
@click.option(
    "--plot", metavar="FILE", type=FILE, help="Draw load, replicas and queue into an .svg or .png file."
)
@click.option("--tune", is_flag=True, help="Search for the settings that meet the SLO at the least cost.")
@click.option(
    "--slo-ratio",
    "allowed",
    default="1%",
    show_default=True,
    metavar="SHARE",
    type=SHARE,
    help="With --tune: share of requests that may miss the SLO.",
)
@click.option("--first", type=DurationType(), metavar="DURATION", help="Only the trace's beginning.")
@click.option(
    "--scale", default="1", metavar="SHARE", type=SHARE, help="Only this share of its requests: 0.1."
)
@click.option("--speed", default="1x", metavar="FACTOR", type=FACTOR, help="Speed the trace up: 10x.")
@click.option("--seed", type=int, default=1, show_default=True, help="Seed; equal seeds give equal results.")
@click.option("--cluster", metavar="FILE", type=FILE, help="Simulate nodes, too: those of a cluster.yaml.")
@click.option(
    "--scaler",
    "scalers",
    multiple=True,
    metavar="NAME",
    type=SCALER,
    help="With --cluster: gyrus, cluster-autoscaler, karpenter, on-demand or none plans the nodes (default: "
    "scaler of the cluster.yaml). Repeat it for several.",
)
@click.option(
    "--node-startup",
    metavar="TIME",
    type=SPREAD,
    help="With --cluster: time until a new node is ready (default: lognormal(2m, 0.2)).",
)
@click.option(
    "--spot-rate",
    metavar="SHARE",
    type=SHARE,
    help="With --cluster: share of the spot instances that EC2 interrupts in an hour (default: 20%).",
)
@click.option(
    "--spot-file",
    metavar="FILE",
    type=FILE,
    help="With --cluster: CSV file of spot prices and interruptions.",
)
@click.option("--spot-seed", type=int, help="With --cluster: seed of the spot market (default: --seed).")
@click.option("--api", "name", metavar="NAME", help="The API to simulate, if the YAML has several.")
@pass_session
def command(session: CliSession, path: Path, **given: Any) -> None:
    """Simulate a traffic trace against an API's settings, in virtual time.

    PATH is a YAML file, or a folder with a gyrus.yaml (default: this folder). Nothing is run or deployed. The
    simulation uses the API's autoscaling, max_concurrency, max_queue_length and timeout. It can compare the
    policies of other systems with gyrus's own. With --cluster it simulates the nodes of a cluster on AWS,
    too: their starts, spot interruptions and cost.
    """
    from gyrus.cli.node_simulation import NodeOptions
    from gyrus.cli.simulation import SimulateOptions, simulate_file

    nodes = NodeOptions(**{name: given.pop(name) for name in NODE_OPTIONS})
    simulate_file(session, path, SimulateOptions(**given, nodes=nodes))
