"""A failed start of Envoy is reported and retried, and ends nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from gyrus.contract.home import Home
from gyrus.operator.home_folder import remove_run_folder
from gyrus.routing.envoy import Envoy
from gyrus.routing.settings import GatewayFiles, GatewaySettings
from support.upstreams import free_port

pytestmark = pytest.mark.processes


class Listener:
    """Hears how Envoy fares."""

    def __init__(self) -> None:
        self.reasons: asyncio.Queue[str] = asyncio.Queue()

    def envoy_started(self) -> None:
        self.reasons.put_nowait("started")

    def envoy_died(self, reason: str) -> None:
        self.reasons.put_nowait(reason)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[GatewayFiles]:
    home = Home(tmp_path)
    for folder in (home.run, home.envoy):
        folder.mkdir(parents=True, exist_ok=True)
    yield GatewayFiles(home)
    remove_run_folder(home)


def started_from(bootstrap: Path) -> Iterator[psutil.Process]:
    """The processes with this file in their arguments."""
    for process in psutil.process_iter():
        try:
            if str(bootstrap) in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.Error:
            continue


@pytest.mark.parametrize(
    ("obstacle", "reported"),
    [
        ("bootstrap.json", "Envoy could not be started: "),
        ("envoy.json", "Envoy's process cannot be recorded in "),
    ],
)
async def test_what_cannot_be_written_is_tried_again(
    files: GatewayFiles, obstacle: str, reported: str
) -> None:
    """A folder stands where the file should be; a full disk is the same to it."""
    (files.home.envoy / obstacle).mkdir()
    listener = Listener()
    envoy = Envoy(files, GatewaySettings(port=free_port()), listener)
    running = asyncio.create_task(envoy.run(), name="envoy")
    try:
        async with asyncio.timeout(20):
            for _ in range(2):
                assert (await listener.reasons.get()).startswith(reported)
    finally:
        running.cancel()
        await asyncio.wait({running})
    assert running.cancelled()
    _, left = psutil.wait_procs(list(started_from(files.bootstrap)), timeout=10)
    assert not left
