"""The rhythm of batches that are not full, by trials: the one whose measured rate is better. Pure.

Clients that send again after each answer can be served in two rhythms:

- **gather**: wait until all of them are back. The device idles meanwhile, but each batch has all calls.
- **alternate**: start with those that are there. A part of the clients waits while the others' batch runs.

Which is better depends on the device, on the event loop's work for each request, and on whether the handler
holds the interpreter meanwhile. So both are measured: most batches follow the better rhythm, and short trials
of the other one become rarer as long as they change nothing. Requests that do not depend on answers arrive at
the same rate in both rhythms; then nothing is gained by waiting, and batches alternate.
"""

from __future__ import annotations

from enum import Enum, auto

from gyrus.runtime.calls.batch_times import Rate

TRIAL = 6
"""Batches of a trial."""
CHANGE_OVER = 2
"""Batches of a phase before it has found its rhythm; the rate is that of the batches after them."""
FIRST_PAUSE, LONGEST_PAUSE = 16, 2048
"""Batches between two trials; each trial that changes nothing doubles the pause."""
TO_GATHER, TO_ALTERNATE = 3, 2
"""Trials in a row that another rhythm must win to become the usual one."""
GAIN, STILL_GAINS = 1.05, 1.02
"""Ratios of the rates: gathering wins a trial from the first on, and stays down to the second."""
SMOOTHING = 0.05
"""Weight of the last batch in the average number of clients."""


class Rhythm(Enum):
    GATHER = auto()
    """Wait until all clients are back."""
    ALTERNATE = auto()
    """Start with those that are there."""
    GROW = auto()
    """Wait for twice the known clients: those whose requests the loop has not read yet are not known."""


class Rhythms:
    """The rhythm of each batch."""

    def __init__(self) -> None:
        self._usual = Rhythm.ALTERNATE
        self._rhythm = Rhythm.ALTERNATE
        """The rhythm of this phase: the usual one, or the other one during a trial."""
        self._left = FIRST_PAUSE
        """Batches until the end of this phase."""
        self._passed = 0
        self._pause = FIRST_PAUSE
        self._won = 0
        """Trials in a row that the other rhythm has won."""
        self._rates = {Rhythm.GATHER: Rate(), Rhythm.ALTERNATE: Rate()}
        self._closed = 0
        """Gathered batches with few other arrivals, minus those with many."""
        self._clients = 0.0
        """Average number of clients."""
        self._paused_for = 0.0
        """That number when the pause was last set to the first one."""

    def next(self, clients: int) -> Rhythm:
        """Return the rhythm of the next batch, for so many clients."""
        self._note_clients(clients)
        if self._left == 0:
            self._judge() if self._is_trial else self._begin(_other(self._usual), TRIAL)
        self._left -= 1
        self._passed += 1
        return Rhythm.GROW if self._rhythm is Rhythm.GATHER and self._passed == 1 else self._rhythm

    def measure(self, calls: int, seconds: float, *, surplus: int) -> None:
        """Note the last batch.

        ``seconds``: between the ends of the batch before it and its own. ``surplus``: waiting calls at its
        end that are not those of known clients.
        """
        if self._passed > CHANGE_OVER:
            self._rates[self._rhythm].add(calls, seconds)
            if self._rhythm is Rhythm.GATHER:
                self._closed += 1 if 4 * surplus <= calls else -1

    @property
    def _is_trial(self) -> bool:
        return self._rhythm is not self._usual

    def _note_clients(self, clients: int) -> None:
        self._clients += SMOOTHING * (clients - self._clients)
        if not self._paused_for / 2 <= self._clients <= self._paused_for * 2:
            self._paused_for, self._pause = self._clients, FIRST_PAUSE
            if not self._is_trial:
                self._left = min(self._left, FIRST_PAUSE)
                self._rates[self._usual].clear()

    def _begin(self, rhythm: Rhythm, batches: int) -> None:
        self._rhythm, self._left, self._passed = rhythm, batches, 0
        self._rates[rhythm].clear()
        if rhythm is Rhythm.GATHER:
            self._closed = 0

    def _judge(self) -> None:
        """End a trial."""
        if self._gathering_gains() is (self._usual is Rhythm.GATHER):
            self._won = 0
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self._won += 1
            if self._won >= (TO_ALTERNATE if self._usual is Rhythm.GATHER else TO_GATHER):
                self._usual, self._won, self._pause = _other(self._usual), 0, FIRST_PAUSE
        self._begin(self._usual, FIRST_PAUSE if self._won else self._pause)

    def _gathering_gains(self) -> bool:
        gather, alternate = self._rates[Rhythm.GATHER], self._rates[Rhythm.ALTERNATE]
        if not gather or not alternate:
            return self._usual is Rhythm.GATHER
        gain = STILL_GAINS if self._usual is Rhythm.GATHER else GAIN
        return self._closed > 0 and gather.value >= gain * alternate.value


def _other(rhythm: Rhythm) -> Rhythm:
    return Rhythm.ALTERNATE if rhythm is Rhythm.GATHER else Rhythm.GATHER
