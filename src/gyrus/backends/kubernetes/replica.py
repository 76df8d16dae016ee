"""One replica: its order, its pod as far as it is known, and the observation that follows."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from gyrus.backends.kubernetes.capacity import HeldPlace, WaitingPod
from gyrus.backends.kubernetes.expectations import newest
from gyrus.backends.kubernetes.observed import Warnings, is_late, missed_failure, observe
from gyrus.backends.kubernetes.pod import Pod
from gyrus.backends.protocol import Observation, ReplicaOrder
from gyrus.contract.pods import STATUS_PORT
from gyrus.contract.replica import Phase, Reason, ReplicaStatus
from gyrus.kubernetes.amounts import Amounts, requested
from gyrus.kubernetes.resources import Manifest


@dataclass(slots=True, eq=False)
class PodReplica:
    order: ReplicaOrder
    ordered_at: float
    """Seconds since the epoch."""
    pod: Pod | None = None
    """The pod, as the watch or an own write showed it last. None: it has not been created yet."""
    address: str = ""
    """The pod's IP address, also after the pod is gone. Empty until it has one."""
    refused: Manifest | None = None
    """The pod that the cluster refused to create at the latest attempt."""
    own: Manifest | None = None
    """The answer to the last own write. None: there was none, or the watch has passed it."""
    grace: float | None = None
    """Seconds of grace with which it is being stopped. None: it is not."""
    task: asyncio.Task[None] | None = None
    """The task that creates or deletes its pod."""
    stale: bool = True
    """True if its supervisor's report is older than its pod's last change."""
    replacing: bool = False
    """True while it is about to be stopped, because it was not ready in time."""
    leaving: bool = False
    """True once others have requested its pod's deletion while it serves: it serves until it is replaced."""
    must_leave: bool = False
    """True once its time to be replaced is over."""
    observation: Observation | None = None
    shown: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the observation has been read."""
    unshown: bool = False
    """True if the pod has already recovered from the failure that the observation shows."""

    @property
    def id(self) -> str:
        return self.order.id

    @property
    def stopping(self) -> bool:
        return self.grace is not None

    @property
    def phase(self) -> Phase:
        return self.observation.status.phase if self.observation else Phase.PENDING

    def see(self, seen: Manifest | None, version: str) -> bool:
        """Take over what the watch shows; return False if nothing of the replica exists any more."""
        merged = newest(self.own, seen, version)
        if merged is not self.own:
            self.own = None
        if merged is None:
            existed, self.pod = self.pod is not None, None
            return not existed
        self.pod = Pod(merged)
        self.stale = True
        return True

    def wrote(self, answer: Manifest) -> None:
        """Take over the answer to an own write."""
        self.own, self.pod = answer, Pod(answer)

    def report(
        self, phase: Phase, message: str, reason: Reason | None = None, lines: tuple[str, ...] = ()
    ) -> bool:
        """Set the status of a replica without a pod; return True if it differs from before."""
        status = ReplicaStatus(
            id=self.order.id,
            api=self.order.api,
            revision=self.order.revision,
            phase=phase,
            reason=reason,
            message=message,
            last_lines=lines,
            started_at=self.ordered_at,
        )
        return self._observe(status)

    def look(
        self, now: float, report: ReplicaStatus | None, warnings: Warnings, evacuation: str = ""
    ) -> bool:
        """Derive the status from the pod; return True if it differs from before.

        ``now``: seconds since the epoch. ``evacuation``: the reason why pods must leave its node; empty if
        they may stay.
        """
        if self.pod is None:
            ends = self.stopping and self.phase is not Phase.GONE
            return self.report(Phase.DRAINING, "") if ends else False
        status = observe(
            self.order,
            self.pod,
            now=now,
            stopping=self.stopping,
            must_leave=self.must_leave,
            report=report,
            warnings=warnings,
        )
        before = self.observation.status if self.observation else None
        failure = missed_failure(before, status, self.pod, warnings) if before else None
        self.unshown = failure is not None
        if self.pod.deleted and status.phase is Phase.READY:
            evacuation = status.message
        return self._observe(failure or status, evacuation)

    @property
    def serves_on(self) -> bool:
        """True if others have requested its pod's deletion, and it serves until it is replaced."""
        return self.pod is not None and self.pod.deleted and self.phase is Phase.READY

    @property
    def late(self) -> bool:
        """True if its pod must be replaced, because it was not ready in time."""
        seen = self.observation
        return self.pod is not None and seen is not None and is_late(seen.status, self.pod)

    @property
    def waits_for_capacity(self) -> bool:
        status = self.observation.status if self.observation else None
        return status is not None and status.phase is Phase.PENDING and status.reason is Reason.CAPACITY

    @property
    def requested(self) -> Amounts:
        """Return what its pod requests, or the one that the cluster refused to create."""
        manifest = self.pod.manifest if self.pod else self.refused
        return requested(manifest) if manifest else {}

    @property
    def place(self) -> HeldPlace | None:
        """Return the part of a node that its pod holds. Returns None if it holds none."""
        if self.pod is None or not self.pod.holds_capacity:
            return None
        return HeldPlace(node=self.pod.node, amounts=self.requested)

    @property
    def waiting(self) -> WaitingPod | None:
        """Return its pod if that waits for capacity of a node or of a quota. Returns None otherwise."""
        pod = self.pod.manifest if self.pod else self.refused
        if pod is None or not self.waits_for_capacity:
            return None
        return WaitingPod(pod=pod, needs=self.requested, since=self.ordered_at)

    @property
    def status_address(self) -> str | None:
        """Return the address of its supervisor. Returns None if there is none, or none that runs."""
        pod = self.pod
        if pod is None or not (pod.supervised and pod.ip and pod.main.running) or pod.deleted:
            return None
        return pod.address(STATUS_PORT)

    def _observe(self, status: ReplicaStatus, evacuation: str = "") -> bool:
        seen = Observation(generation=self.order.generation, status=status, evacuation=evacuation)
        if self.observation == seen:
            return False
        self.observation = seen
        self.shown.clear()
        return True
