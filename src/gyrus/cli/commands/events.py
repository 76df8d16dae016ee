"""The command ``gyrus events``."""

from __future__ import annotations

import click

from gyrus.cli.description import event_line, events_table
from gyrus.cli.durations import TimeType
from gyrus.cli.failures import ended_by_ctrl_c
from gyrus.cli.output import print_json, print_json_line, print_note, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session

KEPT = 1000
"""Events that the operator keeps for each API."""


@click.command("events", cls=Command)
@api_name()
@click.option(
    "--since",
    type=TimeType(),
    metavar="AGE|TIME",
    help="Only events since an age (10m) or a time (2026-01-31T12:00Z).",
)
@click.option(
    "--limit",
    type=click.IntRange(0, KEPT),
    default=100,
    show_default=True,
    metavar="N",
    help="At most the N newest past events.",
)
@click.option("-f", "--follow", is_flag=True, help="Follow new events until Ctrl-C.")
@pass_session
def command(session: CliSession, name: str, since: float | None, limit: int, follow: bool) -> None:
    """Show the events of the API named NAME, oldest first: deploys, scaling, replicas, failures.

    A repeated event is one line, at the place of its first occurrence, with a count. With --follow, every
    repetition is shown when it happens.
    """
    if follow:
        with ended_by_ctrl_c():
            _follow(session, name, since, limit)
        return
    events = session.client().events(name, since=since, limit=limit)
    if session.json:
        print_json(events)
    elif events:
        print_result(events_table(events))
    else:
        print_note(f"{name} has no events{'' if since is None else ' since then'}.")


def _follow(session: CliSession, name: str, since: float | None, limit: int) -> None:
    for event in session.client().follow_events(name, since=since, limit=limit):
        print_json_line(event) if session.json else print_result(event_line(event))
    print_note(f"{name} is deleted.")
