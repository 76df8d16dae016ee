"""Replicas wait here for their place on the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gyrus.backends.local.capacity import Claim, Ledger
from gyrus.backends.local.telling import waiting

Report = Callable[[str | None], None]
"""Told what a replica waits for, whenever that changes, and None at the moment when it has got its place:
before whoever made way for it is seen to be gone."""


class Places:
    """The ledger, and those who wait to be found in it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._waiting: dict[str, tuple[asyncio.Future[None], Report]] = {}

    async def take(self, claim: Claim, report: Report) -> tuple[str, ...]:
        """Wait for what is claimed; the GPUs that come with it.

        A replica keeps what it holds until :meth:`give_back`: it takes it over and over.
        """
        if claim.replica not in self.ledger.shares:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[claim.replica] = (place, report)
            self.turn_to(self.ledger.ask(claim))
            try:
                await place
            except BaseException:
                self._waiting.pop(claim.replica, None)
                self.give_back(claim.replica)
                raise
        return self.ledger.shares[claim.replica].gpus

    def give_back(self, replica: str) -> None:
        """Idempotent."""
        self.turn_to(self.ledger.leave(replica))

    def turn_to(self, ledger: Ledger) -> None:
        """The next page: who has got something goes on, the others are told what they wait for."""
        if ledger is self.ledger:
            return
        self.ledger = ledger
        for replica in [name for name in self._waiting if name in ledger.shares]:
            place, report = self._waiting.pop(replica)
            if not place.done():
                place.set_result(None)
                report(None)
        for shortage in ledger.shortages():
            if told := self._waiting.get(shortage.claim.replica):
                told[1](waiting(shortage, ledger))
