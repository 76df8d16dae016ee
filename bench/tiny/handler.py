"""The least that a handler can do: JSON in, JSON out."""

from typing import Any


class Handler:
    async def predict(self, payload: Any) -> Any:
        return {"doubled": payload["number"] * 2}
