"""``gyrus logs``"""

from __future__ import annotations

import zlib
from datetime import datetime

import click

from gyrus.cli.durations import TimeType
from gyrus.cli.failures import ended_by_ctrl_c
from gyrus.cli.output import dim, say, tell, tell_json_line
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.contract.operator import LogLine

COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_blue")


@click.command("logs", cls=Command)
@api_name()
@click.option("-f", "--follow", is_flag=True, help="Go on with what is printed from now on, until Ctrl-C.")
@click.option("--replica", metavar="ID", help="Of this replica alone; see gyrus describe NAME.")
@click.option("--since", type=TimeType(), metavar="10m", help="Not older than this, or than a time.")
@click.option(
    "--tail", type=click.IntRange(min=0), metavar="N", help="At most N lines of the past, the newest."
)
@click.option("--previous", is_flag=True, help="From before the last restart, and of gone replicas.")
@pass_session
def command(
    session: CliSession,
    name: str,
    follow: bool,
    replica: str | None,
    since: float | None,
    tail: int | None,
    previous: bool,
) -> None:
    """What the replicas of the API named NAME printed, in the order of time."""
    lines = session.client().logs(
        name, replica=replica, since=since, follow=follow, previous=previous, tail=tail
    )
    said = False
    with ended_by_ctrl_c():
        for line in lines:
            tell_json_line(line) if session.json else tell(shown(line))
            said = True
    if replica and not said:
        say(f"There is nothing of a replica {replica}. The replicas that run: gyrus describe {name}")


def shown(line: LogLine) -> str:
    """``12:00:00.123 iris-1-abcde loading the model``

    The request is named where something failed: its client was told to look for it here.
    """
    moment = datetime.fromtimestamp(line.time).astimezone()
    clock = dim(f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}")
    who = click.style(line.replica, fg=COLOURS[zlib.crc32(line.replica.encode()) % len(COLOURS)])
    first, newline, rest = line.message.partition("\n")
    if line.level == "error" and line.request_id:
        first = f"{first} (request {line.request_id})"
    message = first + newline + rest
    return f"{clock} {who} {dim(message) if line.stream == 'gyrus' else message}"
