"""The same as tiny/handler.py, written straight for Granian's RSGI: nothing but the work."""

from __future__ import annotations

from typing import Any

import orjson


async def app(_scope: Any, protocol: Any) -> None:
    payload = orjson.loads(await protocol())
    answer = orjson.dumps({"doubled": payload["number"] * 2})
    protocol.response_bytes(200, [("content-type", "application/json")], answer)
