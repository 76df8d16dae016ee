"""Suspects: at most one runs at a time, and what took down two workers is refused."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, cast

from gyrus.runtime.calls.call import Call
from gyrus.runtime.calls.suspects import Suspects
from gyrus.runtime.started import Sighting, StartedRequests
from support.looking import until

DEAD, ALIVE = Sighting.DEAD, Sighting.ALIVE


@dataclass(eq=False)
class Retried:
    """A call as suspects see it."""

    key: bytes | None
    cancelled: bool = False


@dataclass
class Seen:
    """What other processes have started."""

    by_key: dict[bytes, list[Sighting]] = field(default_factory=lambda: defaultdict(list[Sighting]))

    def sightings(self, key: bytes) -> list[Sighting]:
        return list(self.by_key[key])


@dataclass
class Owner:
    admitted: list[Any] = field(default_factory=list[Any])
    refused: list[Any] = field(default_factory=list[Any])

    def admit_suspect(self, call: Call) -> None:
        self.admitted.append(call)

    def refuse_poison(self, call: Call) -> None:
        self.refused.append(call)


class World:
    def __init__(self) -> None:
        self.seen, self.owner = Seen(), Owner()
        self.suspects = Suspects(cast(StartedRequests, self.seen), self.owner)

    def call(self, *sightings: Sighting) -> tuple[Any, bool]:
        """A call of a request that was seen like this, and whether it is clear."""
        key = b"%d" % len(self.seen.by_key)
        self.seen.by_key[key] = list(sightings)
        call = cast(Call, Retried(key))
        return call, self.suspects.is_clear(call)


def test_request_that_no_other_process_has_started_is_clear() -> None:
    world = World()
    assert world.call()[1]
    assert not world.owner.admitted


def test_request_that_killed_one_is_started_again_and_one_that_killed_two_is_not() -> None:
    world = World()
    once, clear = world.call(DEAD)
    twice, also_clear = world.call(DEAD, DEAD)
    assert not clear
    assert not also_clear
    assert (world.owner.admitted, world.owner.refused) == ([once], [twice])


def test_suspects_run_one_at_a_time_in_order() -> None:
    """Of several requests that died together, only the one at fault can then die twice."""
    world = World()
    first, second, third = (world.call(DEAD)[0] for _ in range(3))
    assert world.owner.admitted == [first]
    world.suspects.over(second)  # its client is gone
    world.suspects.over(first)
    assert world.owner.admitted == [first, third]


async def test_process_that_is_about_to_die_is_waited_for() -> None:
    """The gateway may be faster than the kernel."""
    world = World()
    call, _ = world.call(DEAD, ALIVE)
    assert not world.owner.refused
    assert not world.owner.admitted
    world.seen.by_key[call.key] = [DEAD, DEAD]
    await until(lambda: bool(world.owner.refused))
    assert world.owner.refused == [call]


async def test_request_whose_other_run_ends_is_started() -> None:
    world = World()
    call, _ = world.call(DEAD, ALIVE)
    world.seen.by_key[call.key] = [DEAD]
    await until(lambda: bool(world.owner.admitted))
    assert world.owner.admitted == [call]


def test_what_waits_is_handed_over_when_the_process_ends() -> None:
    world = World()
    _, second = world.call(DEAD)[0], world.call(DEAD)[0]
    handed: list[Any] = []
    world.suspects.release_all(handed.append)
    assert handed == [second]
