"""Writes a database of ``apis.yaml`` with the gyrus that is imported, whatever version that is.

A released schema is never written again: its dump beside this file was made by the code of its time. See
README.md there.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gyrus.contract.operator import Outcome
from gyrus.spec.load import loads
from gyrus.state.records import Event, Package
from gyrus.state.sql.store import open_store

APIS = Path(__file__).with_name("apis.yaml")
DIGEST = "a" * 64
START = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def write(url: str) -> None:
    """Update ``full``, make ``server`` live, let ``plain`` fail, and delete ``gone``."""
    text = APIS.read_text("utf-8")
    specs = loads(text, APIS.name)
    (gone,) = loads("{name: gone, process: {command: [serve]}}", "gone.yaml")
    async with open_store(url) as store:
        await store.record_package(Package(digest=DIGEST, size=123, uploaded_at=START))
        before = loads(text.replace("timeout: 1h30m", "timeout: 1h"), APIS.name)
        full, server, plain = [change.api for change in await store.deploy(before, DIGEST, at(1))]
        await store.finish(full, Outcome.DONE, "", at(2))
        await store.finish(server, Outcome.DONE, "", at(3))
        await store.finish(plain, Outcome.FAILED, "Revision 1 did not become ready: no.\nTraceback", at(4))
        await store.deploy(specs[:1], DIGEST, at(5))
        await store.deploy([gone], None, at(6))
        await store.mark_deleting("gone", at(7))
        await store.record(
            Event(api="full", time=at(8), type="normal", reason="Deployed", message="Revision 2 deployed")
        )


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1]))
