"""Rollouts in progress: a live display on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gyrus.cli.failures import Interrupted, rollout_failure, show
from gyrus.cli.output import (
    PHASE_COLOURS,
    bold,
    has_colour,
    is_terminal,
    print_json,
    print_note,
    print_result,
    status_styled,
)
from gyrus.cli.replicas import doing
from gyrus.client.errors import RolloutFailed, StillWaiting
from gyrus.contract.operator import Deployed, ReplicaView
from gyrus.contract.replica import Phase
from gyrus.contract.visible import shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from gyrus.cli.session import CliSession
    from gyrus.client.client import Client
    from gyrus.client.rollout import RolloutProgress
    from gyrus.packaging.left_out import LeftOutFile


@dataclass(frozen=True, slots=True)
class Awaited:
    """The rollouts at the end of a wait for them."""

    pending: Mapping[str, RolloutProgress]
    """The last progress of each rollout that has not ended, by API."""
    failures: tuple[RolloutFailed, ...] = ()
    time_is_up: StillWaiting | None = None

    @property
    def failed(self) -> frozenset[str]:
        """The APIs whose rollout has failed."""
        return frozenset(fault.name for fault in self.failures)

    def check(self, left_out: Sequence[LeftOutFile] = ()) -> None:
        """Show all faults but the last, and raise the last. Raises RolloutFailed or StillWaiting.

        ``left_out``: the files of the project that the package lacks.
        """
        if left_out:
            from gyrus.cli.left_out import explained

            for fault in self.failures:
                fault.remedy = explained(fault, left_out)
        shown_here = self.failures if self.time_is_up else self.failures[:-1]
        for fault in shown_here:
            show(rollout_failure(fault))
        if self.time_is_up:
            raise self.time_is_up
        if self.failures:
            raise self.failures[-1]


def await_rollouts(client: Client, begun: Sequence[Deployed], timeout: float | None) -> Awaited:
    """Wait for rollouts and show their progress. Raises Interrupted on Ctrl-C."""
    awaited = {deployed.name: deployed.generation for deployed in begun}
    last: dict[str, RolloutProgress] = {}
    time_is_up: StillWaiting | None = None
    try:
        with _display() as display:
            for progress in client.progress(awaited, timeout):
                display.update(shown(progress))
                last[progress.name] = progress
    except StillWaiting as fault:
        time_is_up = fault
    except KeyboardInterrupt:
        message = f"Interrupted. The rollout of {', '.join(awaited)} continues."
        raise Interrupted(message, remedy=f"Watch it with: gyrus describe {begun[0].name}") from None
    pending = {name: progress for name, progress in last.items() if not progress.ended}
    return Awaited(pending, tuple(_failures(last.values())), time_is_up)


def _failures(last: Iterable[RolloutProgress]) -> Iterator[RolloutFailed]:
    for progress in last:
        try:
            if progress.ended:
                progress.result()
        except RolloutFailed as fault:
            yield fault


class Display(Protocol):
    def update(self, progress: RolloutProgress) -> None: ...


@contextmanager
def _display() -> Generator[Display]:
    if not is_terminal(sys.stderr):
        yield PlainDisplay()
        return
    display = LiveDisplay()
    with display.shown():
        yield display


def worth_showing(progress: RolloutProgress) -> list[ReplicaView]:
    """Return the rollout's new replicas, and the draining ones that free capacity for them."""
    replicas = progress.description.replicas if progress.description else ()
    return [
        replica
        for replica in replicas
        if replica.generation >= progress.generation or replica.status.phase is Phase.DRAINING
    ]


class PlainDisplay:
    """A display that prints one line per change."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def update(self, progress: RolloutProgress) -> None:
        for replica in sorted(worth_showing(progress), key=_place):
            what = doing(replica)
            if self._last.get(replica.status.id) != what:
                self._last[replica.status.id] = what
                print_note(f"{progress.name}: {replica.status.id}: {what}")


def _place(replica: ReplicaView) -> int:
    """Return the place of a replica's line among changes that were reported together.

    An old replica drains because a new one is ready, and another new one starts because an old one drains.
    """
    if replica.status.phase is Phase.READY and replica.routed:
        return 0
    return 1 if replica.status.phase is Phase.DRAINING else 2


class LiveDisplay:
    """A display of all rollouts, redrawn in place ten times a second."""

    def __init__(self) -> None:
        from rich.spinner import Spinner

        self._seen: dict[str, RolloutProgress] = {}
        self._spinner = Spinner("dots")
        self._begun = time.monotonic()

    @contextmanager
    def shown(self) -> Generator[None]:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=sys.stderr, no_color=not has_colour(sys.stderr), highlight=False)
        with Live(console=console, transient=True, refresh_per_second=10, get_renderable=self._table):
            yield

    def update(self, progress: RolloutProgress) -> None:
        self._seen[progress.name] = progress

    def _table(self) -> RenderableType:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for progress in list(self._seen.values()):
            self._add(table, progress)
        return table

    def _add(self, table: Table, progress: RolloutProgress) -> None:
        from rich.text import Text

        mark = Text("-") if progress.ended else self._spinner
        elapsed = f"{time.monotonic() - self._begun:.0f}s"
        table.add_row(mark, Text(progress.name, style="bold"), Text(_headline(progress)), elapsed)
        for replica in worth_showing(progress):
            colour = PHASE_COLOURS.get(replica.status.phase, "yellow")
            table.add_row("", f"  {replica.status.id}", Text(doing(replica), style=colour), "")


def _headline(progress: RolloutProgress) -> str:
    description = progress.description
    if description is None:
        return "gone"
    counts = description.api.replicas
    return f"revision {description.api.revision}: {counts.up_to_date} of {counts.requested} ready"


def finish_rollout(session: CliSession, begun: Deployed) -> None:
    """Wait for a rollout and print its result; the end of ``rollback`` and ``refresh``."""
    client = session.client()
    await_rollouts(client, [begun], None).check()
    api = client.api(begun.name)
    if session.json:
        print_json(api)
    else:
        print_result(
            f"{bold(api.name)} is {status_styled(api.status)} (revision {api.revision})\n  {api.endpoint}"
        )
