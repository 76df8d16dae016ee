"""The sender of a replica's log: batches in order, none lost without notice, and never a wait for them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from gyrus.aio.backoff import Backoff
from gyrus.runtime.supervisor import log_sender
from gyrus.runtime.supervisor.log_sender import LogSender, SendFailed

PATIENCE = 10.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_sender, "RETRY", Backoff(0.01, 0.02))


@dataclass
class Archive:
    """An archive that may be away, or slow."""

    answers: list[int | str] = field(default_factory=list[int | str])
    """Statuses, or reasons of failures, of the next requests. 204 after them."""
    open: threading.Event = field(default_factory=threading.Event)
    batches: list[tuple[int, list[str]]] = field(default_factory=list[tuple[int, list[str]]])
    tries: list[int] = field(default_factory=list[int])
    changed: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        self.open.set()

    def send(self, number: int, body: bytes) -> int:
        assert self.open.wait(PATIENCE)
        with self.changed:
            self.tries.append(number)
            answer = self.answers.pop(0) if self.answers else 204
            if isinstance(answer, str):
                raise SendFailed(answer)
            if answer == 204:
                messages = [json.loads(text)["message"] for text in body.splitlines()]
                self.batches.append((number, messages))
            self.changed.notify_all()
            return answer

    @property
    def messages(self) -> list[str]:
        return [message for _, messages in self.batches for message in messages]

    def until(self, holds: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(holds, PATIENCE), self.batches


def line(number: int, message: str = "") -> bytes:
    return json.dumps({"time": float(number), "message": message or str(number)}).encode() + b"\n"


def sender(archive: Archive, buffer: int = 10_000, batch: int = 1000) -> LogSender:
    return LogSender("iris-1-aaaaa", lambda: archive, buffer=buffer, batch=batch, every=0.001)


def test_lines_are_sent_in_order_and_in_batches() -> None:
    archive = Archive()
    archive.open.clear()
    sending = sender(archive)
    for number in range(200):
        sending.offer([line(number)])
    archive.open.set()
    archive.until(lambda: len(archive.messages) == 200)
    sending.close()
    assert archive.messages == [str(number) for number in range(200)]
    assert 4 < len(archive.batches) < 20
    numbers = [number for number, _ in archive.batches]
    assert numbers == sorted(set(numbers))


def test_a_batch_is_tried_again_under_its_number() -> None:
    archive = Archive(answers=["refused", 503, 507, 404])
    sending = sender(archive)
    sending.offer([line(1)])
    archive.until(lambda: archive.messages == ["1"])
    sending.close()
    assert len(archive.tries) == 5
    assert len(set(archive.tries)) == 1


def test_lines_that_do_not_fit_are_counted_and_the_cause_is_named() -> None:
    archive = Archive(answers=["connection refused"] * 3)
    archive.open.clear()
    sending = sender(archive, buffer=1000)
    sending.offer([line(0)])
    for number in range(1, 101):
        sending.offer([line(number)])
    kept = 1000 // len(line(100)) - 1
    archive.open.set()
    archive.until(lambda: archive.messages[-1:] == ["100"])
    sending.close()
    notice = next(message for message in archive.messages if "not archived" in message)
    lost = int(notice.split(" ", 1)[0])
    assert notice == (
        f"{lost} lines before this one were not archived: they came faster than they could be sent"
    )
    assert 100 - lost >= kept
    plain = [message for message in archive.messages if message != notice]
    assert len(plain) + lost == 101


def test_a_batch_that_is_refused_for_good_is_counted() -> None:
    archive = Archive(answers=[400])
    sending = sender(archive)
    sending.offer([line(1), line(2)])
    archive.until(lambda: len(archive.tries) == 1)
    sending.offer([line(3)])
    archive.until(lambda: archive.messages[-1:] == ["3"])
    sending.close()
    assert archive.messages == [
        "2 lines before this one were not archived: the operator answered with status 400",
        "3",
    ]


def test_what_waits_is_sent_at_the_end() -> None:
    archive = Archive()
    sending = LogSender("iris-1-aaaaa", lambda: archive, every=60.0)
    sending.offer([line(1)])
    archive.until(lambda: archive.messages == ["1"])
    sending.offer([line(2), line(3)])
    began = time.monotonic()
    sending.close()
    assert archive.messages == ["1", "2", "3"]
    assert time.monotonic() - began < log_sender.FAREWELL


def test_an_archive_that_is_away_delays_neither_the_replica_nor_its_end() -> None:
    archive = Archive(answers=["away"] * 1_000_000)
    sending = sender(archive, buffer=1000)
    began = time.monotonic()
    for number in range(10_000):
        sending.offer([line(number)])
    assert time.monotonic() - began < 1.0
    began = time.monotonic()
    sending.close()
    assert time.monotonic() - began < log_sender.FAREWELL + 0.5


def test_a_sender_without_lines_has_no_thread() -> None:
    before = threading.active_count()
    sending = sender(Archive())
    sending.close()
    assert threading.active_count() == before
