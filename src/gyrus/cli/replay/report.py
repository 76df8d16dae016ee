"""A replay as text and as JSON; its progress and its chart."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from gyrus.cli.figures import figures_table, span
from gyrus.cli.output import counted, duration, is_terminal, print_note, table, warning
from gyrus.cli.replay.plan import ReplayPlan
from gyrus.cli.replay.tally import POLICY, Tally
from gyrus.client.load.sender import OPEN_FILES
from gyrus.simulator import run
from gyrus.simulator.chart import PLOT, Chart, Curve
from gyrus.simulator.figures import SLO_FACTOR, report
from gyrus.simulator.load import concurrency
from gyrus.simulator.offered_load import OfferedLoad

if TYPE_CHECKING:
    from gyrus.cli.replay.observer import Observer
    from gyrus.client.load.sender import Sender

REDRAWN = 0.5
"""Seconds between two redraws on a terminal."""
LINES = 10.0
"""Seconds between two lines elsewhere."""


async def show_progress(sender: Sender, watch: Observer, plan: ReplayPlan) -> None:
    """Show the progress until cancelled."""
    live = is_terminal(sys.stderr)
    try:
        while True:
            await asyncio.sleep(REDRAWN if live else LINES)
            line = _progress(sender, watch, plan)
            click.echo(f"\r\x1b[K{line}", err=True, nl=False) if live else print_note(line)
    finally:
        if live:
            click.echo("\r\x1b[K", err=True, nl=False)


def _progress(sender: Sender, watch: Observer, plan: ReplayPlan) -> str:
    look = watch.looks[-1]
    passed = duration(sender.elapsed)
    if sender.sent < len(plan):
        sent = f"{passed} of {duration(plan.trace.length)}: {sender.sent:,} of {len(plan):,} sent"
    else:
        sent = f"{passed}: all {len(plan):,} sent"
    replicas = f"replicas: {look.ready} ready, {look.requested} requested"
    return f"{sent}, {sender.under_way:,} in flight; {replicas}"


def text(name: str, plan: ReplayPlan, tally: Tally) -> str:
    """Return the report for stdout."""
    sections = [
        f"{plan.trace.name}: {counted(len(tally.outcomes), 'request')} to {name} in {duration(tally.ended)}",
        figures_table([tally.figures()]),
        _troubles(tally),
    ]
    return "\n\n".join(section for section in sections if section)


def _troubles(tally: Tally) -> str:
    troubles = tally.troubles()
    if not troubles:
        return ""
    rows = [(trouble.cause, f"{trouble.number:,}", _shortened(trouble.example)) for trouble in troubles]
    return table(("TROUBLE", "REQUESTS", "EXAMPLE"), rows)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else line[:97] + "..."


def notes(plan: ReplayPlan, tally: Tally, watch: Observer, under_way: int) -> Iterator[str]:
    """Yield notes on how to read the figures, and warnings about unreliable ones."""
    yield f"An SLO miss is {_miss(tally)}. Latency counts from the time at which a request was due."
    if late := tally.late:
        yield f"The sender was late by {span(late.p50)} (median), {span(late.p99)} (p99)."
    if not tally.kept_up:
        message = "This machine could not send that fast: the latencies above include its own delay."
        yield warning(f"{message} Choose a lower --speed or --scale.")
    if any(trouble.cause == OPEN_FILES for trouble in tally.troubles()):
        message = "Requests failed because this machine allows too few open files, not because of the API."
        yield warning(f"{message} Raise the limit (ulimit -n 65536), or choose a lower --speed or --scale.")
    if watch.missed:
        message = (
            f"The operator did not answer {watch.missed} samples: its previous answers stand in for them."
        )
        yield warning(message)
    if len(tally.outcomes) + under_way < len(plan):
        unsent = counted(len(plan) - len(tally.outcomes) - under_way, "request")
        yield f"Interrupted: {unsent} not sent."
    if under_way:
        yield f"Not counted: {counted(under_way, 'request')} without an answer."


def _miss(tally: Tally) -> str:
    if tally.slo is not None:
        return f"an answer later than {tally.slo:g} s, or no answer"
    if tally.services:
        return f"an answer later than {SLO_FACTOR:g} × the request's service time, or no answer"
    return "a request without a good answer (--slo or --service-time defines a latest answer)"


def document(name: str, plan: ReplayPlan, tally: Tally, under_way: int) -> dict[str, Any]:
    """Return the report as JSON: the fields of a simulation's, and those that only a replay has."""
    late = tally.late
    return {
        **report(plan.trace.name, [tally.figures()], tally.slo),
        "api": name,
        "seconds": tally.ended,
        "unanswered": under_way,
        "sender": {"kept_up": tally.kept_up, "late": late._asdict() if late else None},
        "troubles": [
            {"cause": trouble.cause, "requests": trouble.number, "example": trouble.example}
            for trouble in tally.troubles()
        ],
    }


def chart(name: str, plan: ReplayPlan, tally: Tally, slots: int | None) -> Chart:
    trace, length = plan.trace, tally.ended or 1.0
    looks = [
        run.FleetSample(
            look.at, look.in_flight, look.in_flight - waiting, waiting, look.ready, look.requested
        )
        for look, waiting in zip(tally.looks, tally.waiting(slots), strict=True)
    ]
    load = [0.0]
    if plan.services:
        offered_load = OfferedLoad(
            name=trace.name, start=trace.start, arrivals=trace.arrivals, services=plan.services
        )
        load = concurrency(offered_load, length / PLOT, length)
    return Chart(
        title=f"{name} under {trace.name}",
        start=trace.start,
        length=length,
        load=load,
        curves=[Curve(name=POLICY, looks=looks)],
    )
