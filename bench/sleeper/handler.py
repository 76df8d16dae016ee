import asyncio


class Handler:
    """Works as long as it is told to, without a processor."""

    async def predict(self, payload):
        await asyncio.sleep(payload["seconds"])
        return {}
