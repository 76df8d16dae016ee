"""A trace becomes real requests, and what became of them the report of a rehearsal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.cli.replay.observer import ReplaySample, replica_seconds
from gyrus.cli.replay.payload import BadPayload, Template
from gyrus.cli.replay.tally import Tally
from gyrus.client.client import Client
from gyrus.client.load.result import RequestResult, Result
from support.command_line import Gyrus
from support.operator_thread import Operator
from support.project import Project, handler_api

HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"


# The payload


def test_a_payload_without_places_is_sent_as_it_is() -> None:
    assert Template.parse('{"a": {}}', []).filled({}) == b'{"a": {}}'


@given(st.text())
def test_whatever_a_column_holds_fits_between_quotes(value: str) -> None:
    template = Template.parse('{"text": "<{Words}>"}', ["Words"])
    assert json.loads(template.filled({"Words": value})) == {"text": f"<{value}>"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_numbers(value: float) -> None:
    template = Template.parse('{"seconds": {service_time}}', [])
    assert json.loads(template.filled({"service_time": str(value)})) == {"seconds": value}


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ('{"n": {Tokens}}', "the trace has no column Tokens; it has: service_time, Words"),
        ('{"n": {Words}', "it is not JSON: Expecting ',' delimiter"),
    ],
)
def test_a_payload_that_cannot_be(text: str, reported: str) -> None:
    with pytest.raises(BadPayload) as refused:
        Template.parse(text, ["Words"])
    assert str(refused.value).startswith(reported)


# The report


def outcome(
    number: int, latency: float, fate: Result = Result.ANSWERED, cause: str = "", late: float = 0.0
) -> RequestResult:
    due = float(number)
    return RequestResult(
        number=number,
        due=due,
        sent=due + late,
        ended=due + latency,
        fate=fate,
        cause=cause,
        example=f"no. {number}",
    )


def look(at: float, running: int, **changes: int) -> ReplaySample:
    counts = {"requested": running, "ready": running, "in_flight": 0} | changes
    return ReplaySample(at=at, running=running, **counts)


OUTCOMES = (
    outcome(0, 0.1),
    outcome(1, 0.5),
    outcome(2, 0.01, Result.REFUSED, "503 queue-full"),
    outcome(3, 9.0, Result.TIMED_OUT, "no answer within 9 s"),
    outcome(4, 0.02, Result.FAILED, "500"),
    outcome(5, 0.01, Result.REFUSED, "503 queue-full"),
)


@pytest.mark.parametrize(
    ("slo", "services", "misses"),
    [(None, (), 4), (0.4, (), 5), (None, (0.1, 0.1) + (9.0,) * 4, 5), (None, (0.1, 0.25) + (9.0,) * 4, 4)],
)
def test_what_was_not_answered_in_time_is_a_miss(
    slo: float | None, services: Sequence[float], misses: int
) -> None:
    figures = Tally(outcomes=OUTCOMES, looks=(), slo=slo, services=services).figures()
    assert figures.slo_misses == misses
    assert (figures.answered, figures.refused, figures.timed_out, figures.failed) == (2, 2, 1, 1)
    assert figures.latency is not None
    assert figures.latency == (0.5, 9.0, 9.0)


def test_troubles_alike_are_reported_once() -> None:
    [first, *others] = Tally(outcomes=OUTCOMES, looks=()).troubles()
    assert (first.cause, first.number, first.example) == ("503 queue-full", 2, "no. 2")
    assert {trouble.number for trouble in others} == {1}


def test_replicas_count_from_look_to_look() -> None:
    looks = (look(0, 1), look(1, 3, requested=4), look(2, 3, requested=4), look(3, 2))
    figures = Tally(outcomes=(outcome(0, 4.0),), looks=looks, price=3600.0).figures()
    assert figures.replica_seconds == 1 + 3 + 3 + 2
    assert (figures.peak_replicas, figures.scalings, figures.cost) == (3, 2, pytest.approx(9.0))


def test_what_was_looked_at_after_the_last_answer_does_not_count() -> None:
    assert replica_seconds((look(0, 2), look(1, 2), look(2, 5)), 1.5) == 3.0


def test_a_sender_that_comes_late_is_reported() -> None:
    prompt = [outcome(number, 1.0, late=0.001) for number in range(99)]
    assert Tally(outcomes=prompt, looks=()).kept_up
    assert not Tally(outcomes=[*prompt, *(outcome(n, 1.0, late=0.2) for n in (99, 100))], looks=()).kept_up


# The command


@dataclass
class Endpoint:
    """Stands where the API would, and remembers what it was sent."""

    url: str
    bodies: list[bytes] = field(default_factory=list[bytes])
    seconds: float = 0.0


@contextmanager
def serving() -> Generator[Endpoint]:
    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            endpoint.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            time.sleep(endpoint.seconds)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def iris(operator: Operator, tmp_path: Path) -> str:
    """An API that is live; the gateway of its operator echoes."""
    folder = Project(tmp_path / "project").write(handler_api("iris"), handler=HANDLER)
    with Client() as client:
        [deployed] = client.deploy(folder)
        client.wait("iris", deployed.generation, 60)
    return "iris"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Ten requests in 9 s, each with its number of tokens."""
    lines = [f"2023-11-16 18:17:{number:02}.0000000,{number + 1}" for number in range(10)]
    file = tmp_path / "trace.csv"
    file.write_text("\n".join(["TIMESTAMP,GeneratedTokens", *lines]))
    return file


def test_the_requests_of_a_trace_are_sent_at_their_times(gyrus: Gyrus, iris: str, trace: Path) -> None:
    began = time.monotonic()
    ran = gyrus(
        "replay", iris, "--trace", trace, "--speed", "10x", "--slo", "1s", "--price", "3600/h", "-o", "json"
    )
    assert ran.code == 0, ran.err
    assert 0.9 <= time.monotonic() - began < 5
    [figures] = ran.json["policies"]
    assert figures["policy"] == "real"
    assert (ran.json["requests"], figures["answered"], figures["slo_misses"]) == (10, 10, 0)
    assert 0.9 <= ran.json["seconds"] < 3
    assert figures["replica_seconds"] == pytest.approx(ran.json["seconds"])
    assert figures["cost"] == pytest.approx(figures["replica_seconds"])
    assert 0 < figures["p50_latency"] <= figures["p99_latency"] < 1
    assert ran.json["sender"]["kept_up"]
    assert ran.json["troubles"] == []


def test_the_table_and_how_to_read_it(gyrus: Gyrus, iris: str, trace: Path, tmp_path: Path) -> None:
    plot = tmp_path / "run.svg"
    ran = gyrus(
        "replay", iris, "--trace", trace, "--speed", "100x", "--service-time", "column", "--plot", plot
    )
    assert ran.code == 0, ran.err
    assert "trace.csv: 10 requests to iris" in ran.out
    assert "SLO MISSES" in ran.out
    assert "real" in ran.out
    assert "An SLO miss is an answer later than 2 × the request's service time, or no answer." in ran.err
    assert plot.read_text().startswith("<svg")


def test_payloads_are_filled_from_the_trace(
    gyrus: Gyrus, iris: str, trace: Path, tmp_path: Path, operator: Operator
) -> None:
    with serving() as endpoint:
        point_at(operator, endpoint)
        template = tmp_path / "payload.json"
        template.write_text('{"seconds": {service_time}, "n": {GeneratedTokens}}')
        ran = gyrus(
            "replay", iris, "--trace", trace, "--first", "4s", "--scale", "0.5", "--speed", "10",
            "--service-time", "column", "--payload", f"@{template}", "-o", "json",
        )  # fmt: skip
    assert ran.code == 0, ran.err
    assert [json.loads(body) for body in endpoint.bodies] == [
        {"seconds": 0.02, "n": 1}, {"seconds": 0.06, "n": 3},
    ]  # fmt: skip


def test_what_failed_is_reported_with_an_example(
    gyrus: Gyrus, iris: str, trace: Path, operator: Operator
) -> None:
    with serving() as endpoint:
        pass
    point_at(operator, endpoint)
    ran = gyrus("replay", iris, "--trace", trace, "--speed", "100x")
    assert ran.code == 1
    assert "no connection" in ran.out
    assert "FAILED" in ran.out
    assert ran.err.endswith("error: iris answered no request.\n  See: gyrus describe iris\n")


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("--payload", "{Tokens}"), "--payload: the trace has no column Tokens"),
        (("--payload", '{"s": {service_time}}'), "no --service-time is given"),
        (("--payload", "@nowhere.json"), "The payload nowhere.json cannot be read"),
        (("--speed", "fast"), "is not a factor"),
        (("--first", "0s"), "No requests of"),
        (("--service-time", "column:Words"), "has no column Words"),
        (("--plot", "run.gif"), "neither an .svg nor a .png"),
    ],
)
def test_wrong_input(gyrus: Gyrus, iris: str, trace: Path, arguments: Sequence[str], reported: str) -> None:
    ran = gyrus("replay", iris, "--trace", trace, *arguments)
    assert ran.code == 2
    assert reported in ran.err
    assert ran.out == ""


def test_an_unknown_api(gyrus: Gyrus, iris: str, trace: Path) -> None:
    ran = gyrus("replay", "irsi", "--trace", trace)
    assert ran.code == 1
    assert "Did you mean iris?" in ran.err


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_ends_it_and_reports_what_there_is(iris: str, trace: Path, operator: Operator) -> None:
    with serving() as endpoint:
        point_at(operator, endpoint)
        process = subprocess.Popen(
            [sys.executable, "-m", "gyrus.cli.main", "replay", iris, "--trace", str(trace), "-o", "json"],
            env={**os.environ, "GYRUS_HOME": str(operator.home.root)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while len(endpoint.bodies) < 2:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    [figures] = json.loads(out)["policies"]
    assert 1 <= figures["answered"] < 10
    assert "Interrupted:" in err
    assert "Traceback" not in err


def point_at(operator: Operator, endpoint: Endpoint) -> None:
    """The operator's URL of an API's endpoint leads there."""
    operator.gateway = endpoint.url
