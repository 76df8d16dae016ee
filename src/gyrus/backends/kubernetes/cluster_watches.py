"""The watches of the Kubernetes backend: its pods, the warnings about them, and the nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Protocol

from gyrus.aio.clock import Clock
from gyrus.aio.signals import Listener
from gyrus.backends.kubernetes.nodes import evacuations
from gyrus.backends.kubernetes.observed import Warnings
from gyrus.backends.kubernetes.warnings import PodWarnings
from gyrus.contract.cluster import BUILDER_ROLE, REPLICA_ROLE, ROLE_LABEL
from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import Forbidden
from gyrus.kubernetes.reflector import Reflector, Selection
from gyrus.kubernetes.resources import EVENTS, NODES, PODS, Manifest


class Follower(Protocol):
    """Receives the changes of pods, warnings and nodes."""

    def pods_changed(self, names: Collection[str]) -> None:
        """Take over what the cluster shows of these pods."""
        ...

    def pod_warned(self, name: str) -> None:
        """Take over a new warning about a pod."""
        ...

    def nodes_changed(self, names: Collection[str]) -> None:
        """Take over that pods must leave these nodes now, or that they may stay again."""
        ...


class ClusterWatches:
    """Copies of the cluster's objects that watches keep up to date.

    Events and nodes are left out if the operator may not list them.
    """

    def __init__(self, client: ClusterClient, namespace: str, clock: Clock) -> None:
        def events_of(fields: str) -> Reflector:
            return Reflector(client, Selection(resource=EVENTS, namespace=namespace, fields=fields), clock)

        roles = f"{ROLE_LABEL} in ({REPLICA_ROLE},{BUILDER_ROLE})"
        self._pods = Reflector(client, Selection(resource=PODS, namespace=namespace, labels=roles), clock)
        self._nodes = Reflector(client, Selection(resource=NODES), clock)
        preempted = events_of("involvedObject.kind=Pod,reason=Preempted")  # no warning, by Kubernetes
        self._events = events_of("involvedObject.kind=Pod,type=Warning"), preempted
        self._warnings = PodWarnings()
        self.evacuations: Mapping[str, str] = {}
        """The reasons why pods must leave their node, by node."""

    @property
    def pods(self) -> Mapping[str, Manifest]:
        """The pods of replicas and builders, by name."""
        return self._pods.objects

    @property
    def version(self) -> str:
        """The resource version up to which the pods are known."""
        return self._pods.version

    @property
    def nodes(self) -> Mapping[str, Manifest] | None:
        """The nodes, by name. None if they may not be listed."""
        return self._nodes.objects if self._nodes.version else None

    def warnings(self, pod: str) -> Warnings:
        """Return the warnings about a pod. ``pod``: its uid."""
        return self._warnings.of(pod)

    async def list(self) -> None:
        """Read everything once. Raises KubernetesError."""
        await self._pods.list()
        with suppress(Forbidden):
            for source in self._events:
                await source.list()
        with suppress(Forbidden):
            await self._nodes.list()
        self.evacuations = evacuations(self._nodes.objects)
        for source in self._events:
            for name, event in source.objects.items():
                self._warnings.take(name, event)

    async def run(self, follower: Follower) -> None:
        """Follow everything until cancelled."""
        watched = {"pods": self._pods, "nodes": self._nodes}
        watched |= {"warnings": self._events[0], "preemptions": self._events[1]}
        with (
            self._pods.changes.listen() as pods,
            self._nodes.changes.listen() as nodes,
            self._events[0].changes.listen() as warned,
            self._events[1].changes.listen() as preempted,
        ):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_pods(pods, follower), name="pods")
                group.create_task(self._follow_nodes(nodes, follower), name="nodes")
                for source, changes in zip(self._events, (warned, preempted), strict=True):
                    group.create_task(self._follow_events(source, changes, follower), name="pod events")
                for what, reflector in watched.items():
                    group.create_task(reflector.run(), name=f"watch of {what}")

    async def _follow_pods(self, changes: Listener, follower: Follower) -> None:
        follower.pods_changed(tuple(self._pods.objects))
        async for names in changes:
            follower.pods_changed(names)

    async def _follow_events(self, source: Reflector, changes: Listener, follower: Follower) -> None:
        self._take_events(source, tuple(source.objects), follower)
        async for names in changes:
            self._take_events(source, names, follower)

    def _take_events(self, source: Reflector, names: Collection[str], follower: Follower) -> None:
        for name in names:
            if pod := self._warnings.take(name, source.objects.get(name)):
                follower.pod_warned(pod)

    async def _follow_nodes(self, changes: Listener, follower: Follower) -> None:
        self._take_nodes(follower)
        async for _ in changes:
            self._take_nodes(follower)

    def _take_nodes(self, follower: Follower) -> None:
        before, self.evacuations = self.evacuations, evacuations(self._nodes.objects)
        changed = {
            node
            for node in before.keys() | self.evacuations.keys()
            if before.get(node) != self.evacuations.get(node)
        }
        if changed:
            follower.nodes_changed(changed)
