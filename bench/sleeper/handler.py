import asyncio


class Handler:
    """Works as long as it is told to, without a processor."""

    async def predict(self, payload: dict[str, float]) -> dict[str, float]:
        await asyncio.sleep(payload["seconds"])
        return {}
