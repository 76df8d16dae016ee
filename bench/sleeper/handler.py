import asyncio


class Handler:
    """Takes as long as the payload requests, without using a CPU."""

    async def predict(self, payload: dict[str, float]) -> dict[str, float]:
        await asyncio.sleep(payload["seconds"])
        return {}
