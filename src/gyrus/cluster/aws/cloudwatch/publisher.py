"""The task that sends the metrics of a cluster to CloudWatch, once a minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.ticks import ticks
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cloudwatch.measuring import MetricCounters, counters, measured
from gyrus.cluster.aws.cloudwatch.metric import PERIOD, MetricValue
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.cluster.aws.errors import AwsError
from gyrus.log_archive.export import ExportCounts
from gyrus.state.board import Board
from gyrus.state.records import Api

log = logging.getLogger(__name__)

MOST_VALUES = 1000
"""Values of one call. With names of 63 characters they take about 300 KB; a call may have 1 MB."""


class ApiSource(Protocol):
    """The APIs that exist; the store has them."""

    async def apis(self) -> tuple[Api, ...]: ...


@dataclass(slots=True, kw_only=True)
class MetricPublisher:
    """Sends the values of each minute. A minute that cannot be sent is left out, and reported once."""

    calls: AwsCaller
    target: CloudWatchTarget
    clock: Clock
    store: ApiSource
    board: Board
    export: ExportCounts
    _before: MetricCounters | None = field(default=None, init=False)
    _fault: str = field(default="", init=False)
    """The present reason why nothing is sent. Empty if there is none."""

    async def run(self) -> None:
        """Send until cancelled. The first minute has no growth yet, and only sets the counters."""
        async for _ in ticks(self.clock, PERIOD):
            now = self.clock.monotonic()
            after = counters(self.board, self.export, now, self._before)
            if self._before is not None:
                values = measured(await self.store.apis(), self.board, self._before, after, now)
                await self._publish(values)
            self._before = after

    async def _publish(self, values: Sequence[MetricValue]) -> None:
        time = self.clock.now()
        data = [value.datum(time) for value in values]
        try:
            for part in parts_of(data):
                await self.calls.call(
                    "cloudwatch", "put_metric_data", Namespace=self.target.namespace, MetricData=part
                )
        except AwsError as error:
            if not self._fault:
                log.warning("CloudWatch takes no metrics: %s", error)
            self._fault = str(error)
            return
        if self._fault:
            log.info("CloudWatch takes metrics again.")
            self._fault = ""


def parts_of(data: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide values into parts that one call may have."""
    for first in range(0, len(data), MOST_VALUES):
        yield list(data[first : first + MOST_VALUES])
