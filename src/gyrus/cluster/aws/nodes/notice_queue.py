"""The queue with messages of EventBridge: each is deleted once a plan has taken account of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Signals
from gyrus.cluster.aws.calls import AwsCaller
from gyrus.cluster.aws.errors import AwsError
from gyrus.cluster.aws.nodes.notices import NodeMessage, read_message

log = logging.getLogger(__name__)

WAIT = 20
"""Seconds for which the queue holds a request without a message: the most that SQS allows."""
AT_ONCE = 10
"""Most messages of an answer, and of one deletion."""
MOST = 1000
"""Messages that wait for a plan. No more are received meanwhile."""
PAUSE = 5.0
"""Seconds after a failure."""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """A message that is still in the queue."""

    receipt: str
    message: NodeMessage


@dataclass(slots=True)
class NoticeQueue:
    """Receives messages."""

    aws: AwsCaller
    url: str
    clock: Clock
    changes: Signals = field(default_factory=Signals)
    """Signals that a message has come."""
    waiting: dict[str, ReceivedMessage] = field(default_factory=dict[str, ReceivedMessage])
    """By the message's ID."""
    _logged: str = ""

    async def run(self) -> None:
        """Receive messages until cancelled."""
        while True:
            try:
                await self._receive()
                self._logged = ""
            except AwsError as error:
                if str(error) != self._logged:
                    log.warning("No notices about nodes can be received: %s", error)
                self._logged = str(error)
                await self.clock.sleep(PAUSE)

    async def _receive(self) -> None:
        if len(self.waiting) >= MOST:
            await self.clock.sleep(PAUSE)
            return
        answer = await self.aws.call(
            "sqs", "receive_message", QueueUrl=self.url, MaxNumberOfMessages=AT_ONCE, WaitTimeSeconds=WAIT
        )
        for entry in answer.get("Messages", ()):
            self._take(entry)

    def _take(self, entry: Mapping[str, Any]) -> None:
        message = read_message(entry.get("Body", ""))
        if not message.kind:
            log.warning("The queue %s has a message that is not of EventBridge; it is dropped", self.url)
        self.waiting[entry["MessageId"]] = ReceivedMessage(entry["ReceiptHandle"], message)
        self.changes.notify(message.kind)

    async def delete(self, ids: Iterable[str]) -> None:
        """Delete messages of which a plan has taken account. One that stays comes again, without harm."""
        known = [(id, self.waiting.pop(id)) for id in ids if id in self.waiting]
        batches = [known[at : at + AT_ONCE] for at in range(0, len(known), AT_ONCE)]
        async with asyncio.TaskGroup() as group:
            for number, batch in enumerate(batches):
                group.create_task(self._delete(batch), name=f"nodes: deletion of messages {number}")

    async def _delete(self, batch: list[tuple[str, ReceivedMessage]]) -> None:
        entries = [
            {"Id": str(number), "ReceiptHandle": received.receipt}
            for number, (_, received) in enumerate(batch)
        ]
        try:
            await self.aws.call("sqs", "delete_message_batch", QueueUrl=self.url, Entries=entries)
        except AwsError as error:
            log.warning("Messages about nodes stay in the queue and come again: %s", error)
