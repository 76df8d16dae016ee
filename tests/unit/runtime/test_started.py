"""Records of started requests: what a process that died was working on, and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gyrus.runtime.started import KEPT, MOST_ROWS, Sighting, StartedRequests, key_of

pytestmark = pytest.mark.processes

KEY = key_of(b"1795806493.568706", b"an-id")
OTHER = key_of(b"1795806493.568707", b"an-id")


def in_fork(folder: Path, replica: str, work: Callable[[StartedRequests], object]) -> None:
    """Do this in a process that then dies."""
    pid = os.fork()
    if pid == 0:
        work(StartedRequests(str(folder), replica, 4))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_process_that_died_with_a_request_is_seen_by_others(tmp_path: Path) -> None:
    in_fork(tmp_path, "api-1-first", lambda requests: requests.begin(KEY))
    in_fork(tmp_path, "api-1-secnd", lambda requests: requests.begin(KEY))
    own = StartedRequests(str(tmp_path), "api-1-third", 4)
    assert own.sightings(KEY) == [Sighting.DEAD, Sighting.DEAD]
    assert own.sightings(OTHER) == [], "the same id at another time is another request"


def test_requests_that_ended_before_the_death_are_not_at_fault(tmp_path: Path) -> None:
    def work(requests: StartedRequests) -> None:
        row = requests.begin(KEY)
        assert row is not None
        requests.end(row)
        requests.begin(OTHER)

    in_fork(tmp_path, "api-1-first", work)
    own = StartedRequests(str(tmp_path), "api-1-third", 4)
    assert (own.sightings(KEY), own.sightings(OTHER)) == ([], [Sighting.DEAD])


def test_living_process_differs_from_a_dead_one_and_its_own_starts_do_not_count(tmp_path: Path) -> None:
    read, write = os.pipe()
    reported, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        other = StartedRequests(str(tmp_path), "api-1-first", 4)
        other.begin(KEY)
        os.write(report, b".")
        os.read(read, 1)
        os._exit(0)
    os.read(reported, 1)
    own = StartedRequests(str(tmp_path), "api-1-third", 4)
    own.begin(KEY)
    assert own.sightings(KEY) == [Sighting.ALIVE]
    os.close(read)
    os.close(write)
    os.waitpid(pid, 0)
    assert own.sightings(KEY) == [Sighting.DEAD]


def test_process_that_was_asked_to_end_leaves_no_record(tmp_path: Path) -> None:
    def work(requests: StartedRequests) -> None:
        requests.begin(KEY)
        requests.withdraw()

    in_fork(tmp_path, "api-1-first", work)
    assert StartedRequests(str(tmp_path), "api-1-third", 4).sightings(KEY) == []


def test_more_requests_than_rows_are_not_recorded_and_a_free_row_is_used_again(tmp_path: Path) -> None:
    requests = StartedRequests(str(tmp_path), "api-1-first", 2)
    first, _ = requests.begin(KEY), requests.begin(OTHER)
    assert first is not None
    assert requests.begin(KEY) is None
    requests.end(first)
    assert requests.begin(KEY) == first
    StartedRequests(str(tmp_path), "api-1-secnd", MOST_ROWS * 10)


def test_longest_keys_fit_and_are_distinguished(tmp_path: Path) -> None:
    long, longer = key_of(b"1795806493.568706", b"x" * 128), key_of(b"1795806493.568706", b"x" * 127)
    in_fork(tmp_path, "api-1-first", lambda requests: requests.begin(long))
    own = StartedRequests(str(tmp_path), "api-1-third", 4)
    assert (own.sightings(long), own.sightings(longer)) == ([Sighting.DEAD], [])
    assert len(key_of(b"1795806493.568706", b"x" * 9000)) < 200


def test_files_of_a_replica_that_crashes_again_and_again_do_not_accumulate(tmp_path: Path) -> None:
    for _ in range(KEPT + 5):
        in_fork(tmp_path, "api-1-first", lambda requests: requests.begin(KEY))
    in_fork(tmp_path, "api-1-firstly", lambda requests: None)
    own = StartedRequests(str(tmp_path), "api-1-first", 4)
    assert len(list(tmp_path.glob("api-1-first.*"))) == KEPT + 1
    assert len(list(tmp_path.glob("api-1-firstly.*"))) == 1
    assert len(own.sightings(KEY)) == KEPT
