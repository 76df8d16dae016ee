"""Estimates what a flat costs. Put your own model in its place."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Flat:
    """A request that does not fit this is answered with 422 and the name of the field."""

    area: float
    """Square metres."""
    rooms: int


class Handler:
    def __init__(self, config: dict[str, Any]) -> None:
        """Runs once in every replica, before its first request: load your model here."""
        self.currency = config["currency"]
        self.base, self.per_square_metre, self.per_room = 20_000.0, 3_100.0, 4_500.0

    def predict(self, payload: Flat) -> dict[str, Any]:
        """Runs for every request; what it returns is sent as JSON."""
        price = self.base + self.per_square_metre * payload.area + self.per_room * payload.rooms
        return {"price": price, "currency": self.currency}
