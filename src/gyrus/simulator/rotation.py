"""The gateway's choice: the replica with the fewest requests in flight, whichever number of replicas."""

from __future__ import annotations

from random import Random

from gyrus.queueing.slots import SlotQueue


class SimulatedReplica:
    """One replica, from its order to its end."""

    __slots__ = ("in_flight", "line", "number", "ordered_at", "place", "ready", "routed", "wanted")

    def __init__(self, number: int, line: SlotQueue[int], ordered_at: float) -> None:
        self.number = number
        """They are numbered in the order in which they were ordered."""
        self.line = line
        self.ordered_at = ordered_at
        self.ready = False
        """It has started."""
        self.wanted = True
        """It was not told to leave."""
        self.routed = False
        """Requests reach it."""
        self.in_flight = 0
        """Requests that the gateway has sent it and that have not come back, where it is routed."""
        self.place = 0
        """Within its level of the rotation."""


class Rotation:
    """Replicas that requests reach, by their requests in flight.

    Level n holds those with n in flight, so that the choice, and each change, take the same short time for
    ten replicas and for ten thousand.
    """

    __slots__ = ("_levels", "_random", "highest", "lowest", "size")

    def __init__(self, random: Random) -> None:
        self._levels: list[list[SimulatedReplica]] = [[]]
        self._random = random.random
        self.size = 0
        self.lowest = 0
        """The fewest requests in flight of any replica; 0 where there is none."""
        self.highest = 0

    def pick(self) -> SimulatedReplica:
        """One of those with the fewest in flight, by chance. There must be one."""
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
        """It has one more in flight."""
        self._leave(replica)
        replica.in_flight += 1
        self._enter(replica)
        self._settle()

    def gave(self, replica: SimulatedReplica) -> None:
        """It has one less."""
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
        """The last of the level takes its place."""
        level = self._levels[replica.in_flight]
        last = level.pop()
        if last is not replica:
            level[replica.place] = last
            last.place = replica.place

    def _settle(self) -> None:
        """Levels that were left empty are neither the lowest nor the highest."""
        if not self.size:
            self.lowest = self.highest = 0
            return
        levels = self._levels
        while not levels[self.lowest]:
            self.lowest += 1
        while not levels[self.highest]:
            self.highest -= 1
