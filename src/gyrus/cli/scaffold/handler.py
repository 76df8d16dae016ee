"""Estimates the price of a flat. Replace it with your own model."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Flat:
    """The payload. A request that does not fit gets 422 and the name of the field."""

    area: float
    """Square metres."""
    rooms: int


class Handler:
    def __init__(self, config: dict[str, Any]) -> None:
        """Load your model here: this runs once in every replica, before its first request."""
        self.currency = config["currency"]
        self.base, self.per_square_metre, self.per_room = 20_000.0, 3_100.0, 4_500.0

    def predict(self, payload: Flat) -> dict[str, Any]:
        """Answer one request. The return value is sent as JSON."""
        price = self.base + self.per_square_metre * payload.area + self.per_room * payload.rooms
        return {"price": price, "currency": self.currency}
