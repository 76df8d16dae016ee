"""The smallest handler: JSON in, JSON out."""

from typing import Any


class Handler:
    async def predict(self, payload: Any) -> Any:
        return {"doubled": payload["number"] * 2}
