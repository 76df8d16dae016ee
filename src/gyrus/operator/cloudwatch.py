"""The operator's tasks for CloudWatch, and the way of each kind of lines to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from gyrus.aio.clock import Clock
from gyrus.backends.kubernetes.log_copies import LogCopies
from gyrus.backends.kubernetes.pod import Pod
from gyrus.cluster.aws.calls import AwsCalls
from gyrus.cluster.aws.cloudwatch.gateway_lines import GatewayLines
from gyrus.cluster.aws.cloudwatch.operator_lines import ship_operator_lines
from gyrus.cluster.aws.cloudwatch.publisher import MetricPublisher
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.reflector import Reflector
from gyrus.operator.platform import Tasks
from gyrus.operator.repeated_lines import FoldedLines
from gyrus.state.board import Board
from gyrus.state.store import Store


@dataclass(frozen=True, slots=True)
class CloudWatchParts:
    """The parts of one operator that use CloudWatch."""

    calls: AwsCalls
    target: CloudWatchTarget
    shipper: LogShipper
    board: Board
    clock: Clock

    @classmethod
    def of(cls, target: CloudWatchTarget, board: Board, clock: Clock) -> CloudWatchParts:
        calls = AwsCalls(target.region)
        shipper = LogShipper(calls, target, clock, partial(revision_of, board))
        board.log_export = shipper.counts
        return cls(calls, target, shipper, board, clock)

    def tasks(self, client: ClusterClient, namespace: str, pod: str, gateways: Reflector) -> Tasks:
        """Return the tasks for the log. ``gateways``: the gateways' pods. Another task follows them."""
        copies = LogCopies(
            client=client,
            namespace=namespace,
            intake=GatewayLines(self.calls, self.target, self.shipper),
            clock=self.clock,
            pods=partial(_gateway_pods, gateways),
            changes=gateways.changes,
        )
        tasks: dict[str, Callable[[], Awaitable[object]]] = {
            "CloudWatch log": self.shipper.run,
            "copies of gateways' logs": copies.run,
            "copy of the operator's log": partial(ship_operator_lines, self.shipper, pod, FoldedLines),
        }
        return tasks

    def publisher(self, store: Store) -> Tasks:
        """Return the task for the metrics."""
        publisher = MetricPublisher(
            calls=self.calls,
            target=self.target,
            clock=self.clock,
            store=store,
            board=self.board,
            export=self.shipper.counts,
        )
        return {"CloudWatch metrics": publisher.run}


def revision_of(board: Board, api: str, replica: str) -> int:
    """Return the revision of a replica. Returns 0 if it is not known."""
    found = (each.status.revision for each in board.replicas.get(api, ()) if each.id == replica)
    return next(found, 0)


def _gateway_pods(gateways: Reflector) -> Iterable[tuple[str, Pod]]:
    return [("", Pod(manifest)) for manifest in gateways.objects.values()]
