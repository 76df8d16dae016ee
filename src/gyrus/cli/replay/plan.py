"""The requests to send and their times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gyrus.cli.replay.payload import SERVICE_TIME, BadPayload, Template
from gyrus.client.load.sender import Due
from gyrus.simulator.service import ServiceTimes
from gyrus.simulator.trace import Trace


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """The requests of one replay."""

    trace: Trace
    """The trace as it is sent: shortened, thinned and sped up."""
    template: Template
    services: Sequence[float]
    """Seconds of work, one for each request; empty if no service time is given."""

    @classmethod
    def make(cls, trace: Trace, payload: str, service: ServiceTimes | None, seed: int) -> ReplayPlan:
        """Plan a replay. A simulation of the same trace with the same seed has the same service times.

        Raises BadPayload. Raises ValueError if the trace lacks the service times.
        """
        template = Template.parse(payload, list(trace.columns))
        if SERVICE_TIME in template.names and service is None:
            raise BadPayload(f"it contains {{{SERVICE_TIME}}}, and no --service-time is given")
        return cls(trace, template, service.times(trace, seed) if service else ())

    def __len__(self) -> int:
        return len(self.trace)

    def requests(self) -> Iterator[Due]:
        names = self.template.names
        for number, at in enumerate(self.trace.arrivals):
            values = {name: self._value(name, number) for name in names}
            yield Due(number, at, self.template.filled(values))

    def _value(self, name: str, number: int) -> str:
        return f"{self.services[number]:.6f}" if name == SERVICE_TIME else self.trace.columns[name][number]
