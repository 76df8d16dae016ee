"""``gyrus replay``"""

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
@click.option("--trace", required=True, metavar="FILE", type=FILE, help="CSV: a line for each request.")
@click.option("--speed", default="1x", metavar="FACTOR", type=FACTOR, help="Let them come faster: 10x.")
@click.option("--first", type=DurationType(), metavar="SPAN", help="Only the trace's beginning.")
@click.option("--scale", default="1", metavar="SHARE", type=SHARE, help="Only so many of its requests: 0.1.")
@click.option(
    "--service-time",
    "service",
    metavar="TIME",
    type=SERVICE,
    help="What a request takes, for {service_time} in the payload and for the SLO: 120ms, column, ..., as "
    "with gyrus simulate.",
)
@click.option(
    "--payload",
    default="{}",
    metavar="JSON|@FILE",
    help="What is sent; {service_time} (in seconds) and {COLUMN} are filled for each request.",
)
@click.option(
    "--slo", type=DurationType(), metavar="SPAN", help="The latest answer. By default twice the service time."
)
@click.option("--price", metavar="PRICE", type=PRICE, help="Of one replica: 0.526/h.")
@click.option(
    "--timeout",
    default="60s",
    show_default=True,
    type=DurationType(),
    metavar="SPAN",
    help="From when a request is due until it is given up.",
)
@click.option("--plot", metavar="FILE", type=FILE, help="Draw load, replicas and queue: an .svg or .png.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of drawn service times; as with gyrus simulate."
)
@pass_session
def command(session: CliSession, name: str, **given: Any) -> None:
    """Send the API named NAME the requests of a trace, at their times.

    Each is sent when it is due, whatever has become of those before it, and its latency counts from then. The
    report is that of gyrus simulate, so that a rehearsal can be held against it. Ctrl-C ends it, and reports
    what there is.
    """
    from gyrus.cli.replay.command import ReplayOptions, replay

    replay(session, name, ReplayOptions(**given))
