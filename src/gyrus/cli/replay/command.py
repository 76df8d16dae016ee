"""The work of ``gyrus replay``: read the trace, send it, observe the API, report."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import click

from gyrus.cli.drawing import check_drawable, draw
from gyrus.cli.failures import INTERRUPTED, CommandFailure, WrongInput
from gyrus.cli.output import print_json, print_note, print_result
from gyrus.cli.replay import report
from gyrus.cli.replay.observer import Observer
from gyrus.cli.replay.payload import BadPayload
from gyrus.cli.replay.plan import ReplayPlan
from gyrus.cli.replay.tally import Tally
from gyrus.cli.session import CliSession
from gyrus.cli.simulation import traffic
from gyrus.client.load.result import RequestResult
from gyrus.client.load.sender import Sender
from gyrus.contract.operator import ApiDescription
from gyrus.simulator.chart import svg
from gyrus.simulator.service import ServiceTimes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The command's options."""

    trace: Path
    payload: str
    service: ServiceTimes | None
    first: float | None
    scale: float
    speed: float
    timeout: float
    slo: float | None
    price: float | None
    plot: Path | None
    seed: int


def replay(session: CliSession, name: str, wanted: ReplayOptions) -> None:
    """Run the command.

    Exits with 130 on Ctrl-C. Raises WrongInput. Raises CommandFailure if the API answers no request.
    """
    if wanted.plot:
        check_drawable(wanted.plot)
    plan = _plan(wanted)
    described = session.client().describe(name)
    client = session.client()
    ran = _Run(plan, Observer(client, described), described, wanted, client.environment.endpoint_authority)
    interrupted = ran.to_the_end()
    tally = ran.tally()
    _print_report(session, ran, tally)
    if interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    if not tally.figures().answered:
        raise CommandFailure(f"{name} answered no request.", remedy=f"See: gyrus describe {name}")


def _plan(wanted: ReplayOptions) -> ReplayPlan:
    trace = traffic(wanted.trace, first=wanted.first, scale=wanted.scale, speed=wanted.speed)
    try:
        return ReplayPlan.make(trace, _text(wanted.payload), wanted.service, wanted.seed)
    except BadPayload as fault:
        example = "--payload '{\"seconds\": {service_time}}'"
        raise WrongInput(f"--payload: {fault}.", remedy=f"Write for example {example}, or @FILE.") from fault
    except ValueError as fault:
        raise WrongInput(f"--service-time: {fault}.") from fault


def _text(payload: str) -> str:
    if not payload.startswith("@"):
        return payload
    try:
        return Path(payload[1:]).read_text("utf-8")
    except OSError as fault:
        raise WrongInput(f"The payload {payload[1:]} cannot be read: {fault.strerror}.") from fault
    except UnicodeDecodeError as fault:
        raise WrongInput(f"The payload {payload[1:]} is not UTF-8 text.") from fault


class _Run:
    """One replay and its results so far."""

    def __init__(
        self,
        plan: ReplayPlan,
        watch: Observer,
        described: ApiDescription,
        wanted: ReplayOptions,
        authority: Path | None,
    ) -> None:
        self.name = described.api.name
        self.plan = plan
        self.watch = watch
        self.slots: int | None = described.spec.get("max_concurrency")
        self.wanted = wanted
        self._outcomes: list[RequestResult] = []
        endpoint = described.api.endpoint
        self._sender = Sender(endpoint, wanted.timeout, self._outcomes.append, authority)

    @property
    def under_way(self) -> int:
        """The number of requests that were sent and have not ended."""
        return self._sender.sent - len(self._outcomes)

    def to_the_end(self) -> bool:
        """Send all requests and wait for their results. Returns True if Ctrl-C interrupted it."""
        try:
            asyncio.run(self._all())
        except KeyboardInterrupt:
            return True
        return False

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            beside = (
                self.watch.run(lambda: self._sender.elapsed),
                report.show_progress(self._sender, self.watch, self.plan),
            )
            tasks = [group.create_task(body, name="beside the load") for body in beside]
            await self._sender.run(self.plan.requests())
            for task in tasks:
                task.cancel()

    def tally(self) -> Tally:
        return Tally(
            outcomes=self._outcomes,
            looks=self.watch.looks,
            services=self.plan.services,
            slo=self.wanted.slo,
            price=self.wanted.price,
        )


def _print_report(session: CliSession, ran: _Run, tally: Tally) -> None:
    if session.json:
        print_json(report.document(ran.name, ran.plan, tally, ran.under_way))
    else:
        print_result(report.text(ran.name, ran.plan, tally))
        print_note()
    for note in report.notes(ran.plan, tally, ran.watch, ran.under_way):
        print_note(note)
    if ran.wanted.plot:
        draw(svg(report.chart(ran.name, ran.plan, tally, ran.slots)), ran.wanted.plot)
        print_note(f"The chart of load, replicas and queue is in {ran.wanted.plot}.")
