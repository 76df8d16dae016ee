"""The command ``gyrus replay``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gyrus.cli.durations import DurationType
from gyrus.cli.option_types import FACTOR, PRICE, SERVICE, SHARE
from gyrus.cli.session import CliSession, Command, api_name, pass_session

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("replay", cls=Command)
@api_name()
@click.option("--trace", required=True, metavar="FILE", type=FILE, help="CSV file with one line per request.")
@click.option("--speed", default="1x", metavar="FACTOR", type=FACTOR, help="Speed the trace up: 10x.")
@click.option("--first", type=DurationType(), metavar="DURATION", help="Only the trace's beginning.")
@click.option(
    "--scale", default="1", metavar="SHARE", type=SHARE, help="Only this share of its requests: 0.1."
)
@click.option(
    "--service-time",
    "service",
    metavar="TIME",
    type=SERVICE,
    help="A request's service time, for {service_time} in the payload and for the SLO: 120ms, column, ..., "
    "as with gyrus simulate.",
)
@click.option(
    "--payload",
    default="{}",
    metavar="JSON|@FILE",
    help="Each request's body. {service_time} (in seconds) and {COLUMN} are replaced by its values.",
)
@click.option(
    "--slo",
    type=DurationType(),
    metavar="DURATION",
    help="Longest latency (default: twice the service time).",
)
@click.option("--price", metavar="PRICE", type=PRICE, help="Price of one replica: 0.526/h.")
@click.option(
    "--timeout",
    default="60s",
    show_default=True,
    type=DurationType(),
    metavar="DURATION",
    help="Time from a request's due time until it is abandoned.",
)
@click.option(
    "--plot", metavar="FILE", type=FILE, help="Draw load, replicas and queue into an .svg or .png file."
)
@click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Seed of random service times, as with gyrus simulate.",
)
@pass_session
def command(session: CliSession, name: str, **given: Any) -> None:
    """Send the requests of a trace to the API named NAME, at their times.

    Each request is sent when it is due, even if earlier ones are unanswered, and its latency counts from
    then. The report has the form of gyrus simulate's, so that you can compare the two. Ctrl-C ends the replay
    and reports its results so far.
    """
    from gyrus.cli.replay.command import ReplayOptions, replay

    replay(session, name, ReplayOptions(**given))
