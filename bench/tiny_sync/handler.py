"""The smallest handler as most users write it: not async, one request at a time."""

from typing import Any


class Handler:
    def predict(self, payload: Any) -> Any:
        return {"doubled": payload["number"] * 2}
