"""Answers to requests that are refused."""

from __future__ import annotations

import json
from dataclasses import replace

from gyrus.contract.problem import MEDIA_TYPE
from gyrus.contract.replica import Phase, Reason
from gyrus.gate import refusals
from gyrus.gate.hold_time import HoldEnd
from gyrus.gate.refusals import Refusal, answer
from gyrus.state.board import QueuePolicy, StartFailure
from support.routes import route_to
from support.world import NOW, replica

QUEUEING = QueuePolicy(slots=1, longest_queue=10, processes=1, replicas=1, hold=2, generation=2)
ROUTE = route_to("iris", timeout=60.0, queueing=QUEUEING)
HELD = HoldEnd(at=0.0, is_timeout=False)


def document(refusal: Refusal) -> dict[str, object]:
    head, _, body = answer(refusal, "mine", close=False, bodiless=False).partition(b"\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert lines["content-type"] == MEDIA_TYPE
    assert int(lines["content-length"]) == len(body)
    return json.loads(body) | {"retry_after": lines.get("retry-after")}


def test_hold_that_is_over_reports_what_the_wanted_replicas_do() -> None:
    replicas = (
        replica("old", 1, Phase.FAILED, Reason.KILLED),
        replica("new", 2, Phase.BUILDING, message="installing torch"),
    )
    reported = document(refusals.overdue(ROUTE, replicas, HELD))
    assert reported["status"] == 503
    assert reported["retry_after"] == "1"
    assert "Killed" in str(reported["detail"]) or "installing torch" in str(reported["detail"])
    assert "max_hold, 2 s" in str(reported["detail"])


def test_fault_of_a_replica_is_reported_before_what_others_do() -> None:
    replicas = (replica("new", 2, Phase.BACKOFF, Reason.INIT, message="the model file is missing."),)
    detail = refusals.overdue(ROUTE, replicas, HELD).detail
    assert "InitFailure: the model file is missing. `gyrus describe iris` shows more." in detail


def test_without_a_replica_the_failure_of_the_last_start_is_reported() -> None:
    failure = StartFailure(generation=2, message="there is no capacity: needs 1 CPU, 0 of 1 free", at=NOW)
    short = "max_hold, 2 s: there is no capacity: needs 1 CPU, 0 of 1 free. `gyrus describe iris`"
    assert short in refusals.overdue(ROUTE, (), HELD, failure).detail
    building = (replica("new", 2, Phase.BUILDING, message="installing torch"),)
    assert "installing torch" in refusals.overdue(ROUTE, building, HELD, failure).detail


def test_timeout_that_ends_a_hold_is_a_timeout() -> None:
    reported = document(refusals.overdue(ROUTE, (), replace(HELD, is_timeout=True)))
    assert reported["status"] == 504
    assert "within the timeout of 60 s" in str(reported["detail"])


def test_a_failed_api_is_named_as_failed_with_the_reason() -> None:
    reported = document(
        refusals.unavailable("iris", "Revision 1 did not become ready (InitFailure): no model.")
    )
    assert reported["status"] == 503
    assert reported["retry_after"] == "30"
    assert reported["detail"] == (
        "API iris has no working replica: Revision 1 did not become ready (InitFailure): no model. "
        "`gyrus describe iris` shows more."
    )


def test_what_is_requeued_is_marked_for_the_gateway_alone() -> None:
    reported = answer(refusals.RELEASED, "mine", close=False, bodiless=False)
    assert b"\r\nx-gyrus-requeue: 1\r\n" in reported
    assert b"x-gyrus-requeue" not in answer(refusals.ending("a"), "mine", close=False, bodiless=False)


def test_request_ids_cannot_break_the_head() -> None:
    reported = answer(refusals.unknown("a"), "ä☃", close=True, bodiless=True)
    assert reported.endswith(b"connection: close\r\n\r\n")
    assert reported.startswith(b"HTTP/1.1 404 Not Found\r\n")


def test_requeue_carries_the_platform_s_secret_for_pools_that_believe_no_other() -> None:
    released = answer(refusals.RELEASED, "mine", close=False, bodiless=False, requeue_secret="secret")
    assert b"\r\ngyrus-requeue: secret\r\n" in released
    ended = answer(refusals.ending("a"), "mine", close=False, bodiless=False, requeue_secret="secret")
    assert b"secret" not in ended
