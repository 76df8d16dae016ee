"""What is to happen, as values. Pure: equal seeds give equal scenarios."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from support.soak.apis import Target

BIG = 10_000_000
"""Bytes; the gateway keeps a body as long as this for another try."""
PIECES = 5
"""Of a streamed answer."""


class Manner(StrEnum):
    """How a client behaves."""

    PLAIN = "plain"
    DRIBBLE = "dribble"
    """It sends its body byte by byte."""
    LEAVE = "leave"
    """It goes away while it waits for the answer."""
    BREAK_OFF = "break off"
    """It goes away in the middle of its body."""


OVERTURE = (Manner.PLAIN, Manner.PLAIN, Manner.LEAVE, Manner.BREAK_OFF)
"""Big requests at once to each API, at the beginning: memory that only a peak needs is taken before it is
weighed for the first time."""


class Victim(StrEnum):
    """What is killed."""

    WORKER = "worker"
    """A process under a replica's supervisor."""
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    at: float
    """Seconds since the beginning."""
    number: int
    api: str
    manner: Manner
    seconds: float
    """Of work."""
    padding: int
    """Bytes that make the body longer."""
    patience: float
    """Seconds between two bytes of a slow client, or until a client leaves."""

    @property
    def body(self) -> bytes:
        payload = {"number": self.number, "seconds": self.seconds, "pieces": PIECES}
        return json.dumps({**payload, "padding": "x" * self.padding}).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """kill -9."""

    at: float
    victim: Victim
    api: str | None = None
    """None: the operator's."""
    choice: float = 0.0
    """From 0 to 1: which of those that there are."""
    pause: float = 0.0
    """Seconds until the operator is started again."""


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    seconds: float
    asks: tuple[Ask, ...]
    """In the order of their times."""
    kills: tuple[Kill, ...]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something is killed. Seconds."""

    first: float = 5.0
    between: float = 6.0
    """Two kills of anything."""
    again: float = 80.0
    """Two kills in one API: a replica that fails sooner again is made to wait longer and longer."""
    quiet: float = 8.0
    """At the end, without a kill."""


def scenario(
    seed: int, seconds: float, targets: Sequence[Target], pace: Pace = Pace(), big: float = 0.01
) -> Scenario:
    """``big``: the share of requests, beside the overture, that are as long as ``BIG``."""
    random = Random(seed)
    asks = sorted((ask for target in targets for ask in _asks(random, target, seconds, big)), key=_at)
    numbered = (_renumbered(ask, number) for number, ask in enumerate(asks))
    return Scenario(seed, seconds, tuple(numbered), tuple(_kills(random, targets, seconds, pace)))


def _at(ask: Ask) -> float:
    return ask.at


def _renumbered(ask: Ask, number: int) -> Ask:
    return replace(ask, number=number)


def _asks(random: Random, target: Target, seconds: float, big: float) -> Iterator[Ask]:
    """An overture, as heavy as anything that may come later; then moods in turn: silence, a steady stream, a
    burst."""
    for manner in OVERTURE:
        yield _ask(random, target, random.uniform(0, 0.2), manner, big=1.0)
    now = random.uniform(1, 3)
    while now < seconds:
        mood = random.choice(("silence", "steady", "steady", "burst"))
        if mood == "silence":
            now += random.uniform(1, target.silence)
        elif mood == "burst":
            for _ in range(random.randint(2, target.burst)):
                yield _ask(random, target, now + random.uniform(0, 0.3), big=big)
            now += 0.3
        else:
            until = now + random.uniform(2, 8)
            while (now := now + random.expovariate(target.rate)) < until:
                yield _ask(random, target, now, big=big)


def _ask(random: Random, target: Target, at: float, manner: Manner | None = None, *, big: float) -> Ask:
    """``big``: the probability that it is."""
    manner = manner or random.choices(tuple(Manner), weights=(80, 6, 10, 4))[0]
    is_big = random.random() < big
    patience = {
        Manner.DRIBBLE: random.uniform(0.005, 0.04),
        Manner.LEAVE: random.uniform(0.0, target.seconds * 1.5),
        Manner.BREAK_OFF: random.uniform(0.0, 0.5),
    }
    return Ask(
        at=at,
        number=0,
        api=target.name,
        manner=manner,
        seconds=round(random.uniform(0.005, target.seconds), 3),
        padding=0 if manner is Manner.DRIBBLE else BIG if is_big else random.choice((0, 0, 20, 3000)),
        patience=patience.get(manner, 0.0),
    )


def _kills(random: Random, targets: Sequence[Target], seconds: float, pace: Pace) -> Iterator[Kill]:
    """The operator is killed in the first half only, so that it is old enough to be weighed at the end."""
    last: dict[str | None, float] = {}
    now = pace.first
    while now < seconds - pace.quiet:
        early = now < seconds / 2
        candidates = [target.name for target in targets if early or not target.spared]
        victims: list[str | None] = [*candidates, *([None] if early else [])]
        ripe = [api for api in victims if now - last.get(api, -pace.again) >= pace.again]
        if ripe:
            api = random.choice(ripe)
            last[api] = now
            yield _kill(random, api, now)
        now += random.uniform(pace.between, 2 * pace.between)


def _kill(random: Random, api: str | None, at: float) -> Kill:
    if api is None:
        return Kill(at=at, victim=Victim.OPERATOR, pause=random.uniform(0, 2))
    victim = random.choice((Victim.WORKER, Victim.WORKER, Victim.SUPERVISOR))
    return Kill(at=at, victim=victim, api=api, choice=random.random())
