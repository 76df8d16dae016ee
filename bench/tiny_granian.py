"""The work of tiny/handler.py, written directly for Granian's RSGI."""

from __future__ import annotations

from typing import Any

import orjson


async def app(_scope: Any, protocol: Any) -> None:
    payload = orjson.loads(await protocol())
    answer = orjson.dumps({"doubled": payload["number"] * 2})
    protocol.response_bytes(200, [("content-type", "application/json")], answer)
