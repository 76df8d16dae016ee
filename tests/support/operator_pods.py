"""Operators in pods of a cluster whose nodes run on this machine: they can be killed."""

from __future__ import annotations

import os
import signal

import psutil

from gyrus.kubernetes.client import ClusterClient
from gyrus.kubernetes.errors import ObjectNotFound
from gyrus.kubernetes.resources import PODS


class ProcessNotHere(Exception):
    """The nodes of the cluster do not run on this machine: no process of a pod can be killed."""


def process_of(pod: str) -> int:
    """Return the operator of this pod among this machine's processes. Raises ProcessNotHere."""
    for process in psutil.process_iter():
        try:
            if "gyrus.operator" in process.cmdline() and process.environ().get("POD_NAME") == pod:
                return process.pid
        except psutil.Error:
            continue
    raise ProcessNotHere(f"no process of the pod {pod} runs on this machine")


async def kill(client: ClusterClient, pod: str, namespace: str) -> None:
    """End an operator by SIGKILL, and its pod, so that it does not start again there.

    Raises ProcessNotHere.
    """
    os.kill(process_of(pod), signal.SIGKILL)
    await delete(client, pod, namespace)


async def delete(client: ClusterClient, pod: str, namespace: str) -> None:
    """Delete a pod at once: its node does not matter any more."""
    try:
        await client.delete(PODS, pod, namespace, grace=0)
    except ObjectNotFound:
        pass
