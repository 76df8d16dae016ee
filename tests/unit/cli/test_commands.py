"""The commands against a real operator."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from gyrus.backends.memory import fails
from gyrus.cli.commands.logs import shown
from gyrus.cli.description import described
from gyrus.client.client import Client
from gyrus.client.environments import Environments
from gyrus.contract.fork_server import ForkServerPhase
from gyrus.contract.operator import (
    ForkServerView,
    LogLine,
    PoolView,
    ScalingView,
    StartupTimes,
    Status,
    TrafficView,
)
from gyrus.contract.replica import Reason, StartKind
from support.broken_specs import break_spec
from support.command_line import Gyrus
from support.operator_thread import Operator, operator_thread

PACKAGE = bytes(1024)
"""The archive of an empty folder."""
DIGEST = hashlib.sha256(PACKAGE).hexdigest()


def live(operator: Operator, name: str = "iris", **changes: Any) -> None:
    """Deploy an API whose files are not read."""
    spec = {"name": name, "kind": "RealtimeAPI", "handler": {"path": "handler.py"}, **changes}
    with Client() as client:
        client.upload(DIGEST, PACKAGE, len(PACKAGE))
        [deployed] = client.deploy([spec], package=DIGEST)
        client.wait(name, deployed.generation, 60)


def test_get_lists_what_is_deployed(operator: Operator, gyrus: Gyrus) -> None:
    nothing = gyrus("get")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err.startswith("Nothing is deployed.")
    assert gyrus("get", "-o", "json").json == []
    live(operator)
    live(operator, "text")
    headers, iris, text = gyrus("get").out.splitlines()
    assert headers.split() == ["NAME", "STATUS", "REVISION", "READY", "IN", "FLIGHT", "UPDATED", "ENDPOINT"]
    assert iris.split()[:5] == ["iris", "live", "1", "1/1", "0"]
    assert iris.split()[-1] == f"{operator.gateway}/iris"
    assert text.startswith("text  live")


def test_get_as_json_holds_what_scripts_rely_on(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    api = gyrus("get", "iris", "-o", "json").json
    assert api.pop("updated_at").endswith("Z")
    assert api.pop("created_at").endswith("Z")
    assert api == {
        "name": "iris", "kind": "RealtimeAPI", "status": "live", "endpoint": f"{operator.gateway}/iris",
        "revision": 1, "replicas": {"requested": 1, "ready": 1, "up_to_date": 1}, "in_flight": 0,
        "message": "", "owner": "cli", "cost_per_hour": None,
    }  # fmt: skip
    assert [each["name"] for each in gyrus("get", "-o", "json").json] == ["iris"]


def test_an_unknown_api_is_reported_with_the_nearest_name(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    for command in (
        ("get",),
        ("describe",),
        ("events",),
        ("logs",),
        ("history",),
        ("predict",),
        ("refresh",),
    ):
        ran = gyrus(*command, "irsi")
        assert (ran.code, ran.out) == (1, "")
        assert "There is no API named irsi" in ran.err
        assert "Did you mean iris?" in ran.err


def test_a_wrong_token_names_its_file(operator: Operator, gyrus: Gyrus, tmp_path: Path) -> None:
    file = tmp_path / "wrong"
    file.write_text("wrong")
    gyrus("env", "add", "far", *remote(operator), "--token-file", file)
    ran = gyrus("-e", "far", "get")
    assert ran.code == 1
    assert f"does not accept the token in {file}" in ran.err


def remote(operator: Operator) -> tuple[str | Path, ...]:
    """Options of ``gyrus env add`` for this operator, without its token."""
    return ("--url", operator.url, "--certificate", operator.certificate)


def test_describe_shows_everything(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    [replica] = operator.replica_ids("iris")
    text = gyrus("describe", "iris").out
    for part in (
        "iris (RealtimeAPI)", "  status     live", "  replicas   1 ready of 1, 1 up to date",
        " ago, first deployed ",
        "deploy of revision 1: done", replica, "RolloutDone", "    path: handler.py",
    ):  # fmt: skip
        assert part in text
    assert "null" not in text
    assert gyrus("describe", "iris", "-o", "json").json["api"]["name"] == "iris"


def test_describe_explains_the_scaling(operator: Operator, gyrus: Gyrus) -> None:
    live(operator, autoscaling={"min_replicas": 0, "schedule": [{"cron": "0 8 * * *", "min_replicas": 2}]})
    scaling = ScalingView(
        time="2030-01-01T00:00:00.000Z",
        was=3,
        desired=7,
        replicas=4,
        rule="max_upscale_factor",
        message="desired 7, set to 4: upscale factor 1.5 from 3",
        inputs={"average": 6.75, "panic_average": 7.0},
    )
    starts = (
        StartupTimes(kind=StartKind.COLD, median=2.306, last=2.1, count=4),
        StartupTimes(kind=StartKind.WARM, median=0.09, last=0.1, count=20),
    )

    def see() -> None:
        operator.board.scaling["iris"] = scaling
        operator.board.starts["iris"] = starts
        operator.board.held["iris"] = 2
        operator.board.fork_servers["iris"] = ForkServerView(phase=ForkServerPhase.READY, memory=137 * 2**20)

    operator.call(see)
    text = gyrus("describe", "iris").out
    for part in (
        "bounds     0 to 100 replicas, and 1 scheduled minimum",
        " ago, with 3 requested: desired 7, set to 4: upscale factor 1.5 from 3",
        "inputs     average 6.75, panic_average 7",
        "held       2, until a replica is ready",
        "starts     cold 2.31 s (median of 4), warm 0.09 s (median of 20)",
        "next       warm: forked from a process that has loaded the handler (137 MiB)",
    ):
        assert part in text
    reported = gyrus("describe", "iris", "-o", "json").json
    assert reported["scaling"] == dataclasses.asdict(scaling)
    assert reported["held"] == 2
    assert reported["starts"][1] == {"kind": "warm", "median": 0.09, "last": 0.1, "count": 20}


def test_describe_distinguishes_revisions(operator: Operator) -> None:
    live(operator)
    old = TrafficView(requests=1200, by_code={"2xx": 1198, "5xx": 2}, p50=0.0, p95=3.0, p99=12.0)
    whole = TrafficView(requests=1210, by_code={"2xx": 1208, "5xx": 2}, p50=1.3, p95=3.1, p99=12.5)
    pools = (
        PoolView(generation=3, revision=2, share=0.25, in_flight=1, traffic=TrafficView()),
        PoolView(generation=2, revision=1, share=0.75, in_flight=3, traffic=old),
    )
    with Client() as client:
        description = dataclasses.replace(client.describe("iris"), traffic=whole, pools=pools)
    lines = click.unstyle(described(description)).splitlines()
    start = lines.index("Traffic since the gateway started")
    assert [line.split() for line in lines[start + 1 : start + 7]] == [
        ["1210", "requests:", "2xx", "1208,", "5xx", "2"],
        ["p50", "1.3", "ms,", "p95", "3.1", "ms,", "p99", "12.5", "ms"],
        ["REVISION", "GENERATION", "SHARE", "IN", "FLIGHT", "REQUESTS", "5XX", "P50", "P95", "P99"],
        ["2", "3", "25%", "1", "0", "0", "-", "-", "-"],
        ["1", "2", "75%", "3", "1200", "2", "<1", "ms", "3.0", "ms", "12.0", "ms"],
        ["earlier", "-", "-", "-", "10", "0", "-", "-", "-"],
    ]


def test_describe_explains_the_ids_of_replicas(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    assert "Ids are NAME-GENERATION-RANDOM. " in gyrus("describe", "iris").out


def test_describe_does_not_repeat_the_status(operator: Operator) -> None:
    live(operator)
    with Client() as client:
        description = client.describe("iris")
    idle = dataclasses.replace(
        description.api, status=Status.IDLE, message="Idle: no requests since 2030-01-01 00:00 UTC."
    )
    text = click.unstyle(described(dataclasses.replace(description, api=idle)))
    assert "  status     idle: no requests since 2030-01-01 00:00 UTC." in text


def test_a_rollback_is_to_a_revision(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    live(operator, env={"A": "1"})
    gyrus("rollback", "iris")
    assert "rollout    rollback to revision 1: done" in gyrus("describe", "iris").out


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("get", "get [OPTIONS] [NAME]"),
        ("describe", "describe [OPTIONS] NAME"),
        ("delete", "[OPTIONS] NAME..."),
    ],
)
def test_help_shows_which_names_are_optional(gyrus: Gyrus, command: str, usage: str) -> None:
    assert gyrus(command, "--help").out.splitlines()[0].endswith(usage)


def test_env_alone_lists_the_operators(gyrus: Gyrus) -> None:
    ran = gyrus("env")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == gyrus("env", "list").out
    assert gyrus("env", "-o", "json").json == [{"name": "local", "url": None, "in_use": True}]


def test_events_show_what_happened(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    headers, *rows = gyrus("events", "iris").out.splitlines()
    assert headers.split() == ["FIRST", "LAST", "COUNT", "REASON", "REPLICA"]
    reasons = [row.split()[3] for row in rows]
    assert sorted(reasons) == ["Deployed", "ReplicaReady", "ReplicaStarted", "RolloutDone"]
    reported = gyrus("events", "iris", "-o", "json").json
    assert [event["reason"] for event in reported] == reasons
    assert gyrus("events", "iris", "--limit", "1", "-o", "json").json == reported[-1:]
    assert gyrus("events", "iris", "--since", "1h", "-o", "json").json == reported
    later = gyrus("events", "iris", "--since", "2999-01-01T00:00Z")
    assert (later.code, later.out) == (0, "")
    assert later.err == "iris has no events since then.\n"
    assert gyrus("events", "iris", "--limit", "1001").code == 2


def test_describe_shows_why_a_replica_failed(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    operator.call(lambda: operator.backend.kill(operator.replica_ids("iris")[0]))
    operator.backend.script = fails(
        Reason.INIT, "no model there", "Traceback …", "FileNotFoundError: model.pkl"
    )
    live_or_not = gyrus("refresh", "iris")
    assert live_or_not.code == 1
    text = gyrus("describe", "iris").out
    assert "no model there" in text
    assert "FileNotFoundError: model.pkl" in text


def test_a_refresh_shows_each_step_and_its_end(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    ran = gyrus("refresh", "iris")
    assert ran.code == 0
    assert ran.out == f"iris is live (revision 1)\n  {operator.gateway}/iris\n"
    assert any(line.endswith(": ready") for line in ran.err.splitlines())
    assert all(line.startswith("iris: iris-2-") for line in ran.err.splitlines() if "draining" not in line)


def test_one_that_cannot_be_read_is_reported_and_healed(tmp_path: Path, gyrus: Gyrus) -> None:
    with operator_thread(tmp_path / "home") as operator:
        live(operator)
        live(operator, "sound")
    break_spec(operator.home.database, "iris")
    with operator_thread(tmp_path / "home") as operator:
        fault = "Revision 1 cannot be read: warp: unknown field; deploy the API again, or run the version of"
        iris = gyrus("get", "iris", "-o", "json").json
        assert (iris["status"], iris["replicas"]["ready"]) == ("failed", 0)
        assert iris["message"].startswith(fault)
        live(operator, "sound", env={"A": "b"})
        assert gyrus("get", "sound", "-o", "json").json["status"] == "live"
        assert fault in gyrus("get", "iris").out
        described = gyrus("describe", "iris").out
        assert fault in described
        assert "  warp: 9" in described
        assert fault in gyrus("history", "iris").out
        assert gyrus("events", "iris").code == 0
        refused = gyrus("refresh", "iris")
        assert refused.code == 1
        assert fault in refused.err
        live(operator)
        assert gyrus("get", "iris", "-o", "json").json["status"] == "live"
        assert gyrus("history", "iris").out.splitlines()[1].startswith("2 (live)")
        refused = gyrus("rollback", "iris", "--to", "1")
        assert refused.code == 1
        assert fault in refused.err
        assert gyrus("delete", "iris", "-y").code == 0


def test_a_rollback_brings_back_the_revision_before(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    live(operator, env={"A": "b"})
    assert gyrus("rollback", "iris", "-o", "json").json["revision"] == 1
    assert gyrus("rollback", "iris", "--to", "2", "-o", "json").json["revision"] == 2
    newest, oldest = gyrus("history", "iris").out.splitlines()[1:]
    assert newest.startswith("2 (live)")
    assert oldest.startswith("1 ")
    assert DIGEST[:12] in newest
    assert re.search(r"rollback: (done|progressing), \d+s ago +user \S+ *$", newest)
    unknown = gyrus("rollback", "iris", "--to", "7")
    assert unknown.code == 1
    assert "iris has no revision 7" in unknown.err


def test_a_failed_rollout_shows_why_and_what_serves(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    operator.backend.script = fails(Reason.IMPORT, "No module named 'torhc'", "Traceback …", "boom")
    ran = gyrus("refresh", "iris")
    assert (ran.code, ran.out) == (1, "")
    block = ran.err[ran.err.index("error: ") :]
    assert block == (
        "error: The rollout of iris failed. Revision 1 did not become ready (ImportError): "
        "No module named 'torhc'.\n\n  Traceback …\n  boom\n\n"
        "  Revision 1 serves iris. See: gyrus describe iris, gyrus logs iris\n"
    )


def test_delete_asks_if_there_is_a_terminal(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    refused = gyrus("delete", "iris")
    assert refused.code == 2
    assert "Add -y" in refused.err
    ran = gyrus("delete", "iris", "-y")
    assert (ran.code, ran.out) == (0, "iris is deleted.\n")
    assert gyrus("get", "-o", "json").json == []


def test_logs_are_merged_in_the_order_of_time(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    [replica] = operator.replica_ids("iris")
    operator.write(replica, "second", 20.25)
    operator.write(replica, "first", 10.0)
    first, second = gyrus("logs", "iris").out.splitlines()
    assert first.endswith(f":10.000 {replica} first")
    assert second.endswith(f":20.250 {replica} second")
    lines = [json.loads(line) for line in gyrus("logs", "iris", "-o", "json").out.splitlines()]
    assert [(line["time"], line["message"]) for line in lines] == [(10.0, "first"), (20.25, "second")]
    assert gyrus("logs", "iris", "--since", "1970-01-01T00:00:15Z").out.splitlines() == [second]
    assert gyrus("logs", "iris", "--since", "10m").out == ""
    assert gyrus("logs", "iris", "--since", "10 minutes").code == 2


def test_a_replica_that_printed_nothing_is_mentioned(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    ran = gyrus("logs", "iris", "--replica", "nope")
    assert (ran.code, ran.out) == (0, "")
    assert "There is no output of a replica nope" in ran.err
    assert "gyrus describe iris" in ran.err


def test_the_request_that_failed_is_named() -> None:
    line = LogLine(
        time=0.0, replica="r", message="predict failed\nTraceback …", level="error", request_id="my-id"
    )
    assert shown(line).endswith("predict failed (request my-id)\n    Traceback …")
    assert shown(dataclasses.replace(line, level="info")).endswith("predict failed\n    Traceback …")


def test_predict_sends_json_files_and_input(
    operator: Operator, gyrus: Gyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(operator)
    assert gyrus("predict", "iris", '{"a": 1}').out == '{"a": 1}\n'
    assert gyrus("predict", "iris", '{"a": 1}', "-o", "json").out == '{\n  "a": 1\n}\n'
    file = tmp_path / "payload.json"
    file.write_text("[1]")
    assert gyrus("predict", "iris", f"@{file}").json == [1]
    page = tmp_path / "page.html"
    page.write_text("<p>")
    assert gyrus("predict", "iris", f"@{page}", "-o", "json").json == "<p>"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("grüße".encode())))
    assert gyrus("predict", "iris", "-").out == "grüße\n"


@pytest.mark.processes
def test_predict_hands_on_bytes(operator: Operator, gyrus: Gyrus, tmp_path: Path) -> None:
    live(operator)
    picture = tmp_path / "picture.png"
    picture.write_bytes(b"\x89PNG\xff")
    ran = subprocess.run(
        [sys.executable, "-m", "gyrus.cli.main", "predict", "iris", f"@{picture}"],
        env={**os.environ, "GYRUS_HOME": str(operator.home.root)},
        capture_output=True,
        check=True,
    )
    assert ran.stdout == picture.read_bytes()
    refused = gyrus("predict", "iris", f"@{picture}", "-o", "json")
    assert refused.code == 1
    assert "image/png" in refused.err


def test_predict_shows_what_the_api_answered(operator: Operator, gyrus: Gyrus) -> None:
    live(operator)
    streamed = gyrus("predict", "iris", "{}", "--content-type", "text/event-stream")
    assert streamed.out == "data: 1\n\ndata: 2\n\n"
    ran = gyrus("predict", "iris", "{}", "--content-type", "text/x-problem")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: {operator.gateway}/iris answered 422: area: is missing\n"


@pytest.mark.parametrize("payload", ["{", "setosa", "@/nowhere/payload.json"])
def test_predict_refuses_what_it_cannot_read(payload: str, gyrus: Gyrus) -> None:
    ran = gyrus("predict", "iris", payload)
    assert ran.code == 2
    assert "payload" in ran.err


def test_version_shows_the_operators_too(operator: Operator, gyrus: Gyrus) -> None:
    reported = gyrus("version", "-o", "json").json
    assert reported["operator"]["version"] == reported["version"]
    assert "running" in gyrus("version").out


def test_version_without_an_operator(gyrus: Gyrus) -> None:
    ran = gyrus("version")
    assert ran.code == 0
    assert "not running" in ran.out
    assert gyrus("version", "-o", "json").json["operator"] is None


def test_environments_are_added_used_and_removed(operator: Operator, gyrus: Gyrus) -> None:
    assert gyrus("env", "add", "copy", *remote(operator), "--token-file", operator.home.token).code == 0
    assert gyrus("-e", "copy", "get", "-o", "json").json == []
    assert gyrus("env", "use", "copy").code == 0
    listed = gyrus("env", "list", "-o", "json").json
    assert [(env["name"], env["in_use"]) for env in listed] == [("local", False), ("copy", True)]
    assert gyrus("env", "remove", "copy").code == 0
    assert Environments.load(operator.home).names() == ("local",)
    assert "*  local" in gyrus("env", "list").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "local", "--url", "https://x", "--token", "t"),
        ("add", "a", "--url", "x", "--token", "t"),
        ("add", "a", "--url", "https://x"),
        ("add", "a", "--url", "https://x", "--token", "t", "--token-file", "f"),
        ("add", "a", "--url", "http://x", "--token", "t"),
        ("add", "a", "--url", "https://", "--token", "t"),
        ("add", "a", "--url", "https://x:y", "--token", "t"),
        ("add", "a", "--url", "https://x", "--token", "t", "--certificate", "nowhere"),
        ("use", "nowhere"),
        ("remove", "local"),
        ("remove", "nowhere"),
    ],
)
def test_environments_that_cannot_be(arguments: tuple[str, ...], gyrus: Gyrus) -> None:
    assert gyrus("env", *arguments).code == 2


@pytest.mark.processes
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_scripts(shell: str, gyrus: Gyrus) -> None:
    assert "_GYRUS_COMPLETE" in gyrus("completion", shell).out


def test_completion_knows_commands_and_apis(
    operator: Operator, gyrus: Gyrus, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(operator)
    monkeypatch.setenv("_GYRUS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "gyrus de")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert gyrus().out.split() == ["plain,deploy", "plain,describe", "plain,delete"]
    monkeypatch.setenv("COMP_WORDS", "gyrus get i")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert gyrus().out.split() == ["plain,iris"]


def test_the_schema_is_json(gyrus: Gyrus) -> None:
    assert gyrus("schema").json["$schema"].startswith("https://json-schema.org/")
