"""The command ``gyrus logs``."""

from __future__ import annotations

import zlib
from datetime import datetime

import click

from gyrus.cli.durations import TimeType
from gyrus.cli.failures import ended_by_ctrl_c
from gyrus.cli.output import dim, indented, print_json_line, print_note, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.contract.operator import LogLine
from gyrus.contract.visible import shown as visible

COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_blue")


@click.command("logs", cls=Command)
@api_name()
@click.option("-f", "--follow", is_flag=True, help="Follow new output until Ctrl-C.")
@click.option(
    "--replica", metavar="ID", help="Only this replica's output. gyrus describe NAME shows the IDs."
)
@click.option(
    "--since",
    type=TimeType(),
    metavar="AGE|TIME",
    help="Only output since an age (10m) or a time (2026-01-31T12:00Z).",
)
@click.option("--tail", type=click.IntRange(min=0), metavar="N", help="At most the N newest past lines.")
@click.option(
    "--previous", is_flag=True, help="Only output from before the last restart, and of gone replicas."
)
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
    """Show the output of the replicas of the API named NAME, oldest first."""
    lines = session.client().logs(
        name, replica=replica, since=since, follow=follow, previous=previous, tail=tail
    )
    printed = False
    with ended_by_ctrl_c():
        for line in lines:
            print_json_line(line) if session.json else print_result(shown(line))
            printed = True
        if follow:
            print_note(f"{name} is deleted.")
    if replica and not printed and not follow:
        print_note(f"There is no output of a replica {replica}. See the replicas: gyrus describe {name}")


def shown(line: LogLine) -> str:
    """Format a line: ``12:00:00.123 iris-1-abcde loading the model``.

    An error line names its request, since the error response refers the client to the log by that id. What
    acts on a terminal is escaped. Further lines of a message are indented, so that none looks like a line of
    its own.
    """
    line = visible(line)
    moment = datetime.fromtimestamp(line.time).astimezone()
    clock = dim(f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}")
    replica = click.style(line.replica, fg=COLOURS[zlib.crc32(line.replica.encode()) % len(COLOURS)])
    first, newline, rest = line.message.partition("\n")
    if line.level == "error" and line.request_id:
        first = f"{first} (request {line.request_id})"
    message = first + newline + indented(rest, 4)
    return f"{clock} {replica} {dim(message) if line.stream == 'gyrus' else message}"
