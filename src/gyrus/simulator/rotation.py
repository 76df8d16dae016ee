"""The gateway's choice, in constant time: the replica with the fewest requests in flight."""

from __future__ import annotations

from random import Random

from gyrus.queueing.slots import SlotQueue


class SimulatedReplica:
    """One replica, from its order to its end."""

    __slots__ = ("in_flight", "lost", "number", "ordered_at", "place", "queue", "ready", "routed", "wanted")

    def __init__(self, number: int, queue: SlotQueue[int], ordered_at: float) -> None:
        self.number = number
        """Number in the sequence of orders."""
        self.queue = queue
        self.ordered_at = ordered_at
        self.ready = False
        """True once it has started."""
        self.wanted = True
        """False once it must leave."""
        self.routed = False
        """True while requests reach it."""
        self.lost = False
        """True once it is gone together with its node and its requests."""
        self.in_flight = 0
        """Unanswered requests from the gateway; counted only while it is routed."""
        self.place = 0
        """Position in its level of the rotation."""


class Rotation:
    """The routed replicas, by their requests in flight.

    Level n holds those with n in flight, so that the choice and each change take the same short time for ten
    replicas and for ten thousand.
    """

    __slots__ = ("_levels", "_random", "highest", "lowest", "size")

    def __init__(self, random: Random) -> None:
        self._levels: list[list[SimulatedReplica]] = [[]]
        self._random = random.random
        self.size = 0
        self.lowest = 0
        """The fewest requests in flight of any replica; 0 if there is no replica."""
        self.highest = 0

    def pick(self) -> SimulatedReplica:
        """Return a random one of the replicas with the fewest in flight. There must be one."""
        level = self._levels[self.lowest]
        return level[int(self._random() * len(level))]

    def add(self, replica: SimulatedReplica) -> None:
        replica.routed = True
        self.size += 1
        self._enter(replica)
        if self.size == 1:
            self.lowest = self.highest = replica.in_flight

    def remove(self, replica: SimulatedReplica) -> None:
        replica.routed = False
        self.size -= 1
        self._leave(replica)
        self._settle()

    def took(self, replica: SimulatedReplica) -> None:
        """Count one request more in flight at a replica."""
        self._leave(replica)
        replica.in_flight += 1
        self._enter(replica)
        self._settle()

    def gave(self, replica: SimulatedReplica) -> None:
        """Count one request fewer in flight at a replica."""
        self._leave(replica)
        replica.in_flight -= 1
        self._enter(replica)
        self._settle()

    def replicas(self) -> list[SimulatedReplica]:
        return [replica for level in self._levels for replica in level]

    def _enter(self, replica: SimulatedReplica) -> None:
        number = replica.in_flight
        while number >= len(self._levels):
            self._levels.append([])
        level = self._levels[number]
        replica.place = len(level)
        level.append(replica)
        if number > self.highest:
            self.highest = number
        if number < self.lowest:
            self.lowest = number

    def _leave(self, replica: SimulatedReplica) -> None:
        """Remove a replica from its level; the level's last replica takes its position."""
        level = self._levels[replica.in_flight]
        last = level.pop()
        if last is not replica:
            level[replica.place] = last
            last.place = replica.place

    def _settle(self) -> None:
        """Move the lowest and the highest level past empty ones."""
        if not self.size:
            self.lowest = self.highest = 0
            return
        levels = self._levels
        while not levels[self.lowest]:
            self.lowest += 1
        while not levels[self.highest]:
            self.highest -= 1
