"""Pools that failed to deliver an instance, and how long they get no new request.

The back-off doubles from 3 minutes to 10. cluster-autoscaler's is 5 to 30 minutes
(``initial-node-group-backoff-duration``, ``max-node-group-backoff-duration``), Karpenter's always 3
minutes.
"""

from __future__ import annotations

from dataclasses import replace

from gyrus.nodes.node_plan import BarredPool
from gyrus.nodes.state import NodePool, NodeSettings, NodesState, PoolRecord


def judge_pools(state: NodesState) -> tuple[dict[str, PoolRecord], tuple[BarredPool, ...]]:
    """Return the records of all pools, and those that have just failed."""
    records: dict[str, PoolRecord] = {}
    bars: list[BarredPool] = []
    for pool in state.pools:
        record = _recovered(state, pool, state.memory.pools.get(pool.name, PoolRecord()))
        if reason := _failure(state, pool, record):
            record = _failed(state.now, record, state.settings)
            bars.append(BarredPool(pool=pool.name, until=record.barred_until, reason=reason))
        records[pool.name] = record
    return records, tuple(bars)


def _recovered(state: NodesState, pool: NodePool, record: PoolRecord) -> PoolRecord:
    """Forget the failures if an instance was launched since the last one."""
    launched = (node.launched_at for node in state.nodes if node.pool == pool.name)
    if record.failures and any(at > record.failed_at for at in launched):
        return replace(record, failures=0)
    return record


def _failure(state: NodesState, pool: NodePool, record: PoolRecord) -> str:
    """Return the failure that has not been judged yet, in words; empty if there is none."""
    if pool.failed_at is not None and pool.failed_at > record.failed_at:
        return f"a scaling activity failed: {pool.failure or 'no reason given'}"
    if pool.waiting_since is None or record.barred_until > state.now:
        return ""
    waited = state.now - max(pool.waiting_since, record.barred_until)
    if waited < state.settings.provision_limit:
        return ""
    return f"no instance within {waited:.0f} s"


def _failed(now: float, record: PoolRecord, settings: NodeSettings) -> PoolRecord:
    span = min(settings.first_bar * 2 ** min(record.failures, 16), settings.longest_bar)
    return PoolRecord(failures=record.failures + 1, failed_at=now, barred_until=now + span)
