"""Lets a scenario happen to a platform, and reports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from gyrus.client.client import Client
from gyrus.client.errors import ClientError
from support.platform import Platform
from support.soak.apis import Target
from support.soak.leftovers import leftovers
from support.soak.memory import Growth, Weight, growths, weigh
from support.soak.scenario import Ask, Kill, Scenario, Victim
from support.soak.verdict import History, Judge, Killed
from support.soak.visitor import Seen, visit

LOOK = 0.5
"""Seconds between two looks at the operator."""
SETTLED = 20.0
"""Seconds after the last answer until nothing may be counted any more."""


@dataclass(frozen=True, slots=True)
class Memory:
    """How growth is measured. Times in seconds."""

    settling: float = 300.0
    """From a process's start until it counts as warm."""
    window: float = 60.0
    every: float = 5.0
    """Between two looks."""
    most: float = 0.05
    """The share by which a process may grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    scenario: Scenario
    judge: Judge
    leftovers: Sequence[str]
    growths: Sequence[Growth]
    memory: Memory
    lost_operators: Sequence[str]

    @property
    def faults(self) -> list[str]:
        """Nothing here: the platform kept its promises."""
        unexplained = [reported(seen) for seen in self.judge.unexplained()]
        grown = [f"grew: {growth}" for growth in self.growths if growth.share > self.memory.most]
        return [*unexplained, *self.leftovers, *grown, *self.lost_operators]

    def __str__(self) -> str:
        seen = self.judge.seen
        latencies = sorted(one.ended - one.sent for one in seen if one.whole)
        middle = f", median {latencies[len(latencies) // 2] * 1000:.0f} ms" if latencies else ""
        kills = Counter(str(killed.kill.victim) for killed in self.judge.history.kills)
        lines = [
            f"seed {self.scenario.seed}, {self.scenario.seconds:.0f} s, {len(seen)} requests{middle}",
            "kills: " + (", ".join(f"{number} {victim}" for victim, number in kills.items()) or "none"),
            *(f"{number:>7}  {explanation}" for explanation, number in self.judge.all().most_common()),
            *(f"memory: {growth}" for growth in self.growths),
            *(f"FAULT: {fault}" for fault in self.faults),
        ]
        return "\n".join(lines)


def reported(seen: Seen) -> str:
    """One line with all that is needed to find out more."""
    ask = seen.ask
    what = f"{seen.status or '-'} {seen.problem} {seen.error} {seen.detail}".strip()
    return (
        f"request {ask.number} to {ask.api} ({ask.manner}, {ask.seconds:g} s of work, {len(ask.body)} bytes) "
        f"from {seen.sent:.2f} to {seen.ended:.2f} s: {what} [{seen.request_id}]"
    )


@dataclass(slots=True)
class Soak:
    """One run."""

    platform: Platform
    scenario: Scenario
    targets: Sequence[Target]
    memory: Memory = Memory()
    report: Callable[[str], None] = print
    _seen: list[Seen] = field(default_factory=list[Seen])
    _kills: list[Killed] = field(default_factory=list[Killed])
    _away: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    _ready: dict[str, list[tuple[float, int]]] = field(default_factory=dict[str, list[tuple[float, int]]])
    _weights: list[Weight] = field(default_factory=list[Weight])
    _lost: list[str] = field(default_factory=list[str])
    _began: float = 0.0

    async def run(self, folder: Path) -> Report:
        for target in self.targets:
            await asyncio.to_thread(self.platform.gyrus, "deploy", target.write(folder), "--yes")
        self._began = time.monotonic()
        with Client.at(f"unix://{self.platform.home.control_socket}") as client:
            await self._happen(client)
            left = await self._left(client)
        return Report(
            scenario=self.scenario,
            judge=self._judge(),
            leftovers=left,
            growths=list(growths(self._weights, self.memory.settling, self.memory.window)),
            memory=self.memory,
            lost_operators=self._lost,
        )

    def _now(self) -> float:
        return time.monotonic() - self._began

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - self._now()))

    def _judge(self) -> Judge:
        history = History(kills=self._kills, away=self._away, ready=self._ready)
        return Judge({target.name: target for target in self.targets}, history, self._seen)

    async def _happen(self, client: Client) -> None:
        async with asyncio.TaskGroup() as group:
            watching = [
                group.create_task(self._look(client), name="look"),
                group.create_task(self._weigh(), name="weigh"),
            ]
            acting = [
                group.create_task(self._ask_all(), name="ask"),
                group.create_task(self._kill_all(client), name="kill"),
            ]
            await asyncio.wait(acting)
            for task in watching:
                task.cancel()

    # Load

    async def _ask_all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for ask in self.scenario.asks:
                await self._until(ask.at)
                group.create_task(self._ask(ask), name=f"request {ask.number}")

    async def _ask(self, ask: Ask) -> None:
        self._seen.append(await visit("127.0.0.1", self.platform.gateway_port, ask, self._now))

    # Faults

    async def _kill_all(self, client: Client) -> None:
        for kill in self.scenario.kills:
            await self._until(kill.at)
            if kill.victim is Victim.OPERATOR:
                await self._kill_operator(kill)
            elif (pid := await asyncio.to_thread(_pid, client, kill)) is not None:
                self._kill(kill, pid)

    def _kill(self, kill: Kill, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._kills.append(Killed(kill=kill, at=self._now(), pid=pid))
            self.report(f"{self._now():7.1f} s  kill -9 {pid}: {kill.victim} {kill.api or ''}")

    async def _kill_operator(self, kill: Kill) -> None:
        file = self.platform.home.operator_file
        since = self._now()
        try:
            pid = json.loads(file.read_text())["pid"]
        except OSError:
            self._lost.append(f"no operator was there to be killed at {since:.1f} s")
        else:
            self._kill(kill, pid)
        await asyncio.sleep(kill.pause)
        await asyncio.to_thread(self.platform.up)
        self._away.append((since, self._now()))

    # Looks

    async def _look(self, client: Client) -> None:
        while True:
            with suppress(ClientError):
                for api in await asyncio.to_thread(client.apis):
                    self._ready.setdefault(api.name, []).append((self._now(), api.replicas.ready))
            await asyncio.sleep(LOOK)

    async def _weigh(self) -> None:
        while True:
            self._weights += await asyncio.to_thread(lambda: weigh(self.platform.processes(), self._now()))
            await asyncio.sleep(self.memory.every)

    async def _left(self, client: Client) -> list[str]:
        """What is still counted after a while without a request."""
        until = self._now() + SETTLED
        while True:
            left = await asyncio.to_thread(leftovers, client)
            if not left or self._now() > until:
                return left
            await asyncio.sleep(LOOK)


def _pid(client: Client, kill: Kill) -> int | None:
    """The process to kill. None: there is none."""
    assert kill.api is not None
    try:
        replicas = client.describe(kill.api).replicas
    except ClientError:
        return None
    supervisors = [replica.status.pid for replica in replicas if replica.status.pid]
    if kill.victim is Victim.SUPERVISOR:
        return _chosen(supervisors, kill.choice)
    children: list[int] = []
    for pid in supervisors:
        with suppress(psutil.Error):
            children += [child.pid for child in psutil.Process(pid).children(recursive=True)]
    return _chosen(children, kill.choice)


def _chosen(pids: Sequence[int], choice: float) -> int | None:
    return pids[min(int(choice * len(pids)), len(pids) - 1)] if pids else None
