"""Requests as one Envoy counts them, read from its admin interface."""

from __future__ import annotations

from collections.abc import Mapping

from gyrus.routing import stats
from gyrus.routing.admin import Admin, AdminError
from gyrus.routing.errors import TrafficUnknown
from gyrus.routing.traffic import Answered


class EnvoyTraffic:
    """The TrafficSource of one Envoy."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def in_flight(self) -> Mapping[str, int]:
        return await self._requests(stats.IN_FLIGHT)

    async def waiting(self) -> Mapping[str, int]:
        """Return the requests that wait for a connection, by cluster. Raises TrafficUnknown."""
        return await self._requests(stats.WAITING)

    async def answered(self) -> Mapping[str, Answered]:
        try:
            codes = await self._admin.request("GET", stats.COUNTS)
            return stats.answered(codes.decode(), await self._admin.json(stats.LATENCIES))
        except AdminError as error:
            raise TrafficUnknown(str(error)) from error

    async def _requests(self, target: str) -> Mapping[str, int]:
        try:
            return stats.in_flight((await self._admin.request("GET", target)).decode())
        except AdminError as error:
            raise TrafficUnknown(str(error)) from error
