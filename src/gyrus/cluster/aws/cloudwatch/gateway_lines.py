"""The lines of gateways: no archive of the cluster has them, and they go to CloudWatch alone."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.cloudwatch.documents import batch_number, events_of
from gyrus.cluster.aws.cloudwatch.shipper import LogShipper
from gyrus.cluster.aws.cloudwatch.target import CloudWatchTarget, gateway_stream
from gyrus.cluster.aws.errors import AwsError, AwsNotFound
from gyrus.log_archive.archive import ArchiveError, LogBatch

FIRST_SERVER_ERROR = 500


class _AccessLine(msgspec.Struct):
    """The part of a line of the access log that decides whether it is sent."""

    code: int


_decoder = msgspec.json.Decoder(_AccessLine)


def is_sent(message: str) -> bool:
    """Return False for a request in the access log that was answered: each line costs money.

    >>> is_sent('{"code": 200}'), is_sent('{"code": 503}'), is_sent("[warning] no healthy upstream")
    (False, True, True)
    """
    try:
        return _decoder.decode(message).code >= FIRST_SERVER_ERROR
    except (msgspec.MsgspecError, RecursionError):
        return True


@dataclass(frozen=True, slots=True)
class GatewayLines:
    """Takes the batches of gateways. The next operator goes on after the last one that CloudWatch has."""

    calls: AwsCaller
    target: CloudWatchTarget
    shipper: LogShipper

    async def add(self, batch: LogBatch) -> None:
        lines = [line for line in batch.lines if is_sent(line.message)]
        self.shipper.add(gateway_stream(batch.replica), events_of(lines, batch.number))

    async def last_batch(self, api: str, replica: str, source: str = "") -> int | None:
        """Return the number of a gateway's last batch. Raises ArchiveError."""
        try:
            answer = await self.calls.call(
                "logs",
                "get_log_events",
                logGroupName=self.target.log_group,
                logStreamName=gateway_stream(replica),
                startFromHead=False,
                limit=1,
            )
        except AwsNotFound:
            return None
        except AwsError as error:
            raise ArchiveError(str(error)) from error
        events = answer.get("events", ())
        return batch_number(str(events[-1]["message"])) if events else None
