"""Memory by process and descendants, and the process that exceeds the limit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.replica import Reason
from gyrus.runtime.supervisor.memory import MIB, MemoryWatch, offence
from gyrus.runtime.supervisor.processtable import Row, descendants, family, read_table, resident, strays


def test_the_largest_is_to_blame() -> None:
    found = offence({1: 200 * MIB, 2: 340 * MIB}, 512 * MIB)
    assert found
    assert found.pid == 2
    assert found.verdict.reason is Reason.OUT_OF_MEMORY
    assert found.verdict.message == "it used 540 MiB, but compute.mem allows 512 MiB; raise compute.mem"


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 100)), st.integers(0, 300))
def test_there_is_an_offence_exactly_when_the_sum_is_too_large(used: dict[int, int], allowed: int) -> None:
    found = offence(used, allowed)
    assert (found is not None) == (sum(used.values()) > allowed)
    assert found is None or used[found.pid] == max(used.values())


def rows(*triples: tuple[int, int, int]) -> dict[int, Row]:
    return {pid: Row(pid, parent, group, 1) for pid, parent, group in triples}


def test_strays_are_what_belongs_to_us_and_to_no_known_process() -> None:
    table = rows(
        (1, 0, 1),
        (10, 1, 10),  # the supervisor
        (11, 10, 10),  # a process of it
        (12, 11, 12),  # its child, in another group
        (13, 10, 13),  # adopted by the supervisor
        (14, 1, 10),  # an orphan of the group that another process adopted
        (15, 1, 15),  # not ours
    )
    assert strays(table, 10, [11]) == {13, 14}
    assert strays(table, 10, []) == {11, 12, 13, 14}
    assert descendants(table, 10) == {11, 12, 13}


def test_the_dead_are_no_strays() -> None:
    assert strays({10: Row(10, 1, 10, 1), 11: Row(11, 10, 10, 0)}, 10, []) == set()


@pytest.mark.processes
def test_a_real_family_is_found_and_measured() -> None:
    script = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'print(1, flush=True); input()'], "
        "stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); input(); child.communicate(b'x')"
    )
    command, pipe = [sys.executable, "-c", script], subprocess.PIPE
    with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert family(parent.pid) == [parent.pid, child]
        assert descendants(read_table(), parent.pid) == {child}
        used = resident(parent.pid) + resident(child)
        assert 2 * MIB < used < 200 * MIB
        assert abs(read_table()[child].resident - resident(child)) < MIB
        assert MemoryWatch(used * 2).look([parent.pid], 0) is None
        found = MemoryWatch(used // 2).look([parent.pid], 0)
        assert found
        assert found.pid == parent.pid
        parent.communicate("x")
    assert resident(parent.pid) == 0
    assert family(os.getpid())[0] == os.getpid()
