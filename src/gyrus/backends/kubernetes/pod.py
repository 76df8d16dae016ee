"""A pod's manifest, read: the facts that an observation needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gyrus.backends.kubernetes.programs import SERVING, SIDECAR, SIDECAR_PORT_NAME, STATUS_PORT_NAME
from gyrus.backends.kubernetes.resources import BUILD, FETCH
from gyrus.contract.cluster import SERVES_ON_ANNOTATION
from gyrus.kubernetes.resources import KubernetesObject

EMPTY: Mapping[str, Any] = {}
LEAVING = 5.0
"""Seconds for all gateways to leave a pod."""
COMING = frozenset({"ContainerCreating", "PodInitializing", ""})
"""Reasons of a container that waits for nothing but its start."""


@dataclass(frozen=True, slots=True)
class ContainerState:
    """One container: at most one of the three states is given."""

    name: str
    waiting: Mapping[str, Any] | None = None
    running: Mapping[str, Any] | None = None
    terminated: Mapping[str, Any] | None = None
    last: Mapping[str, Any] | None = None
    """The end of the run before."""
    restarts: int = 0
    ready: bool = False

    @property
    def ended(self) -> Mapping[str, Any] | None:
        """Return the latest end of a run, that of the run before included."""
        return self.terminated or self.last

    @property
    def severity(self) -> tuple[int, int]:
        """Return how much this container hinders its pod, to compare it with others of it."""
        if self.running is not None:
            return 0, self.restarts
        hindered = self.waiting is not None and self.waiting.get("reason", "") not in COMING
        return 3 if hindered else 2 if self.terminated is not None else 1, self.restarts


@dataclass(frozen=True, slots=True)
class Pod(KubernetesObject):
    @property
    def annotations(self) -> Mapping[str, str]:
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def created_at(self) -> float | None:
        return seconds(self.manifest["metadata"].get("creationTimestamp"))

    @property
    def ends_by(self) -> float | None:
        """Return the time by which it must have ended, in seconds since the epoch. Returns None if none."""
        return seconds(self.manifest["metadata"].get("deletionTimestamp"))

    @property
    def serves_on(self) -> float:
        """Return the seconds for which it serves on after its deletion was requested, if need be."""
        return float(self.annotations.get(SERVES_ON_ANNOTATION, 0))

    @property
    def leaves_at(self) -> float:
        """Return the time until which others may rely on it, although its deletion was requested.

        In seconds since the epoch: early enough for all gateways to leave it before its containers end. 0 if
        its deletion was not requested, or if it may end at once.
        """
        if self.ends_by is None or not self.serves_on:
            return 0.0
        grace = float(self.manifest["metadata"].get("deletionGracePeriodSeconds") or 0)
        return self.ends_by - grace + max(0.0, min(self.serves_on - LEAVING, grace / 2))

    @property
    def phase(self) -> str:
        return self.status.get("phase", "Pending")

    @property
    def reason(self) -> str:
        """Return Kubernetes' word for why the whole pod ended: ``Evicted``, ``NodeLost``."""
        return self.status.get("reason", "")

    @property
    def message(self) -> str:
        return self.status.get("message", "")

    @property
    def node(self) -> str:
        return self.manifest["spec"].get("nodeName", "")

    @property
    def holds_capacity(self) -> bool:
        """True if it is on a node, and has not ended."""
        return bool(self.node) and self.phase not in ("Succeeded", "Failed")

    @property
    def ip(self) -> str:
        return self.status.get("podIP", "")

    @property
    def runs_once(self) -> bool:
        return self.manifest["spec"].get("restartPolicy") == "Never"

    @property
    def containers(self) -> tuple[ContainerState, ...]:
        """Return the states of its containers, without the init containers."""
        return tuple(
            self._state("containerStatuses", container["name"])
            for container in self.manifest["spec"]["containers"]
        )

    @property
    def talking(self) -> tuple[ContainerState, ...]:
        """Return the containers whose output is that of the replica."""
        return tuple(container for container in self.containers if container.name != SIDECAR)

    @property
    def main(self) -> ContainerState:
        """Return the container that decides the pod's state: the one that hinders it most."""
        return max(self.containers, key=lambda container: container.severity)

    @property
    def restarts(self) -> int:
        return sum(container.restarts for container in self.containers)

    @property
    def fetch(self) -> ContainerState:
        return self._state("initContainerStatuses", FETCH)

    @property
    def first(self) -> ContainerState:
        """Return the state of its only container, whatever its name."""
        name = self.manifest["spec"]["containers"][0]["name"]
        return self._state("containerStatuses", name)

    @property
    def has_fetch(self) -> bool:
        return bool(self.manifest["spec"].get("initContainers"))

    @property
    def supervised(self) -> bool:
        """True if gyrus's supervisor runs in it, which reports its status."""
        return any(port.get("name") == STATUS_PORT_NAME for port in self._ports)

    @property
    def graceful(self) -> bool:
        """True if gyrus's own code in it ends its requests in order."""
        return self.supervised or any(port.get("name") == SIDECAR_PORT_NAME for port in self._ports)

    @property
    def serving_ports(self) -> tuple[int, ...]:
        """Return the ports of its processes, in their order."""
        return tuple(p["containerPort"] for p in self._ports if p.get("name", "").startswith(SERVING))

    def image(self, container: str) -> str:
        spec = self.manifest["spec"]
        containers = [*spec.get("initContainers", ()), *spec["containers"]]
        return next((c["image"] for c in containers if c["name"] == container), "")

    def is_runtime(self, container: str) -> bool:
        """Return True if a container has gyrus's runtime image, not one of the user."""
        return container in (FETCH, BUILD, SIDECAR) or self.image(container) == self.image(FETCH)

    def address(self, port: int) -> str:
        return f"[{self.ip}]:{port}" if ":" in self.ip else f"{self.ip}:{port}"

    @property
    def _ports(self) -> list[Mapping[str, Any]]:
        return [port for c in self.manifest["spec"]["containers"] for port in c.get("ports") or ()]

    def _state(self, part: str, name: str) -> ContainerState:
        status = next((s for s in self.status.get(part, ()) if s.get("name") == name), EMPTY)
        state: Mapping[str, Any] = status.get("state") or {}
        before: Mapping[str, Any] = status.get("lastState") or {}
        return ContainerState(
            name=name,
            waiting=state.get("waiting"),
            running=state.get("running"),
            terminated=state.get("terminated"),
            last=before.get("terminated"),
            restarts=status.get("restartCount", 0),
            ready=bool(status.get("ready")),
        )


def seconds(time: str | None) -> float | None:
    """Return a time of the API in seconds since the epoch."""
    return datetime.fromisoformat(time).timestamp() if time else None
