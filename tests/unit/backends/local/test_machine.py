"""Quotas of control groups bound what the machine has."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from gyrus.backends.local.machine import cpu_quotas, look_at_machine, memory_limits, own_groups


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_our_groups_are_read() -> None:
    assert own_groups("0::/user.slice\n") == {"": "/user.slice"}
    assert own_groups("3:cpu,cpuacct:/a:b\n1:name=systemd:/\n") == {
        "cpu": "/a:b",
        "cpuacct": "/a:b",
        "name=systemd": "/",
    }
    assert own_groups("") == {}


def test_the_newer_groups_bound_by_themselves_and_by_those_around_them(tmp_path: Path) -> None:
    put(tmp_path, "a/b/cpu.max", "150000 100000")
    put(tmp_path, "a/cpu.max", "max 100000")
    put(tmp_path, "cpu.max", "400000 100000")
    put(tmp_path, "a/memory.max", "1048576")
    put(tmp_path, "a/b/memory.max", "max")
    groups = {"": "/a/b"}
    assert [*cpu_quotas(tmp_path, groups)] == [1.5, 4.0]
    assert [*memory_limits(tmp_path, groups)] == [1048576]


def test_the_older_groups_bound_too(tmp_path: Path) -> None:
    put(tmp_path, "cpu/a/cpu.cfs_quota_us", "50000")
    put(tmp_path, "cpu/a/cpu.cfs_period_us", "100000")
    put(tmp_path, "cpu/cpu.cfs_quota_us", "-1")
    put(tmp_path, "cpu/cpu.cfs_period_us", "100000")
    put(tmp_path, "memory/memory.limit_in_bytes", "4096")
    groups = {"cpu": "/a", "memory": "/elsewhere", "": "/"}
    assert [*cpu_quotas(tmp_path, groups)] == [0.5]
    assert [*memory_limits(tmp_path, groups)] == [4096]


def test_what_is_not_there_bounds_nothing(tmp_path: Path) -> None:
    put(tmp_path, "cpu.max", "nonsense")
    assert not [*cpu_quotas(tmp_path, {"": "/a", "cpu": "/"})]
    assert not [*memory_limits(tmp_path, {})]


def test_this_machine() -> None:
    machine = look_at_machine({"CUDA_VISIBLE_DEVICES": "7"})
    assert 0 < machine.cpu <= (os.cpu_count() or 1) * 1000
    assert 0 < machine.mem <= psutil.virtual_memory().total
    assert machine.gpus == ("7",)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes are not bound to cores here")
def test_cores_that_we_may_not_run_on_do_not_count() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert look_at_machine({"CUDA_VISIBLE_DEVICES": ""}).cpu <= 1000
    finally:
        os.sched_setaffinity(0, before)
