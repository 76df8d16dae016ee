from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from gyrus.contract.nodes import NodePoolView, NodesView, NodeView
from gyrus.contract.operator import AmountView
from gyrus.log_archive.export import ExportCounts
from gyrus.log_archive.intake import ArchiveCounts
from gyrus.server.metrics import exposition, snapshot_of
from gyrus.state.board import Board, Spending, Traffic
from gyrus.state.memory import MemoryStore
from support.world import spec


async def test_the_log_archive_is_counted_where_there_is_one() -> None:
    board, store = Board(), MemoryStore()
    assert b"gyrus_log_archive" not in await exposition(store, board)
    board.log_archive = ArchiveCounts(lines=3, failures=2, size=100)
    text = (await exposition(store, board)).decode()
    assert "gyrus_log_archive_bytes 100.0" in text
    assert "gyrus_log_archive_lines_total 3.0" in text
    assert "gyrus_log_archive_failures_total 2.0" in text


async def test_the_export_of_the_log_is_counted_where_there_is_one() -> None:
    board, store = Board(), MemoryStore()
    assert b"gyrus_log_export" not in await exposition(store, board)
    board.log_export = ExportCounts(lines=3, dropped=2, failures=1, waiting=100)
    text = (await exposition(store, board)).decode()
    assert "gyrus_log_export_waiting_bytes 100.0" in text
    assert "gyrus_log_export_lines_total 3.0" in text
    assert "gyrus_log_export_dropped_total 2.0" in text
    assert "gyrus_log_export_failures_total 1.0" in text


async def test_nodes_are_counted_where_they_are_planned() -> None:
    board, store = Board(), MemoryStore()
    assert b"gyrus_nodes" not in await exposition(store, board)
    nothing = AmountView(cpu=0, mem=0, gpu=0)
    node = NodeView(
        name="", instance="i-1", group="cpu", capacity_type="spot", instance_type="m5.large", zone="a",
        state="starting", reason="", launched_at="2026-11-28T12:00:00Z", replicas=0, pods=0,
        requested=nothing, allocatable=nothing,
    )  # fmt: skip
    pool = NodePoolView(group="cpu", capacity_type="spot", desired=3, nodes=1, barred_until="soon")
    board.nodes = NodesView(
        scaler="gyrus", pools=(pool,), nodes=(node,), failures=("no",), short_seconds=9, plan_seconds=0.5
    )
    text = (await exposition(store, board)).decode()
    labels = 'capacity_type="spot",group="cpu"'
    assert f"gyrus_nodes_desired{{{labels}}} 3.0" in text
    assert f"gyrus_nodes_barred{{{labels}}} 1.0" in text
    assert f'gyrus_nodes{{{labels},state="starting"}} 1.0' in text
    assert "gyrus_nodes_short_seconds_total 9.0" in text
    assert "gyrus_nodes_plan_seconds 0.5" in text
    assert "gyrus_nodes_failures 1.0" in text


def test_what_is_rendered_does_not_change_meanwhile() -> None:
    board = Board()
    board.traffic["iris"] = Traffic(in_flight=3)
    board.decisions["iris"] = Counter({("", "stay"): 1})
    snapshot = snapshot_of(board)
    board.traffic["wine"] = Traffic()
    board.held["iris"] = 2
    board.decisions["iris"]["", "up"] += 1
    assert (snapshot.traffic, snapshot.held) == ({"iris": Traffic(in_flight=3)}, {})
    assert snapshot.decisions == {"iris": Counter({("", "stay"): 1})}


async def test_costs_are_there_if_machines_have_prices() -> None:
    board, store = Board(), MemoryStore()
    await store.deploy([spec()], None, datetime(2026, 11, 28, tzinfo=UTC))
    assert b"usd" not in await exposition(store, board)
    board.spending = Spending(
        per_hour={"iris": 0.25},
        total={"iris": 3.0},
        idle_per_hour=0.5,
        idle_total=6.0,
        shared_per_hour=0.1,
        shared_total=1.0,
    )
    text = (await exposition(store, board)).decode()
    assert 'gyrus_cost_per_hour_usd{api="iris"} 0.25' in text
    assert 'gyrus_cost_usd_total{api="iris"} 3.0' in text
    assert 'gyrus_other_cost_per_hour_usd{part="idle"} 0.5' in text
    assert 'gyrus_other_cost_usd_total{part="shared"} 1.0' in text
