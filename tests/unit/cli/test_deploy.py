"""``gyrus deploy`` against a real operator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from gyrus.backends.memory import Step, fails
from gyrus.backends.protocol import ReplicaOrder
from gyrus.contract.replica import Phase, Reason
from support.command_line import Gyrus, on_terminal
from support.operator_thread import PACKAGE_LIMIT, Operator
from support.project import Project, handler_api

HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Project(tmp_path / "project").write(handler_api("iris"), handler=HANDLER)


def builds_first(order: ReplicaOrder) -> tuple[Step, ...]:
    return (
        Step(phase=Phase.BUILDING, message="installing scikit-learn"),
        Step(phase=Phase.STARTING),
        Step(phase=Phase.READY),
    )


def never_ready(order: ReplicaOrder) -> tuple[Step, ...]:
    return (Step(phase=Phase.STARTING),)


def test_a_deploy_ends_with_an_endpoint_and_lines_to_paste(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    (folder / "sample.json").write_text('{"a": 1}')
    ran = gyrus("deploy", folder)
    assert ran.code == 0
    first, endpoint = ran.out.splitlines()
    assert first.startswith("iris is live (revision 1) after ")
    assert endpoint == f"  {operator.gateway}/iris"
    [line] = [line for line in ran.err.splitlines() if line.startswith("  gyrus predict")]
    assert line == f"  gyrus predict iris @{folder / 'sample.json'}"
    assert gyrus(*line.split()[1:]).json == {"a": 1}


def test_the_folder_is_this_one_by_default(
    operator: Operator, gyrus: Gyrus, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert gyrus("deploy").code == 0


def test_what_is_live_already_is_left_alone(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    gyrus("deploy", folder)
    assert gyrus("deploy", folder).out.startswith("iris is unchanged (revision 1), and live\n")


def test_what_starts_already_is_unchanged_and_still_starts(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    operator.backend.script = never_ready
    gyrus("deploy", folder, "--no-wait")
    ran = gyrus("deploy", folder, "--no-wait")
    assert ran.out.startswith(
        "iris is unchanged (revision 1), and its replicas are still starting: starting\n"
    )


@pytest.mark.parametrize("path", ["nowhere", "nowhere/gyrus.yaml"])
@pytest.mark.parametrize("command", ["deploy", "validate"])
def test_what_is_not_there_is_no_fault_of_a_specification(
    gyrus: Gyrus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = gyrus(command, path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(
        "error: There is no file or folder nowhere.\n"
        if path == "nowhere"
        else "error: There is no folder nowhere.\n"
    )
    assert "fault" not in ran.err


def test_the_json_is_that_of_get(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    ran = gyrus("deploy", folder, "-o", "json")
    assert [api["name"] for api in ran.json] == ["a", "b"]
    assert [api["status"] for api in ran.json] == ["live", "live"]
    assert gyrus("get", "-o", "json").json == ran.json


def test_each_step_of_each_replica_is_a_line(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    operator.backend.script = builds_first
    lines = gyrus("deploy", folder).err.splitlines()
    steps = [line.split(": ", 2) for line in lines if line.startswith("iris: ")]
    assert steps[-1][2] == "ready"
    assert len({replica for _, replica, _ in steps}) == 1


def test_a_failed_deploy_reports_why_and_that_nothing_serves(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    operator.backend.script = fails(Reason.DEPENDENCIES, "no such package", "× No solution found")
    ran = gyrus("deploy", folder)
    assert (ran.code, ran.out) == (1, "")
    assert "error: The rollout of iris failed. " in ran.err
    assert "\n\n  × No solution found\n\n  No revision serves iris." in ran.err


def test_of_several_every_failure_is_reported(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    operator.backend.script = fails(Reason.INIT, "broken")
    ran = gyrus("deploy", folder)
    assert ran.code == 1
    assert "The rollout of a failed" in ran.err
    assert "The rollout of b failed" in ran.err


def test_a_deploy_need_not_be_waited_for(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    operator.backend.script = never_ready
    ran = gyrus("deploy", folder, "--no-wait")
    assert ran.code == 0
    assert ran.out.startswith("iris is deployed (revision 1); its rollout continues\n")
    assert gyrus("get", "iris", "-o", "json").json["status"] == "creating"


def test_a_wait_that_takes_too_long_ends_and_the_rollout_goes_on(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    operator.backend.script = never_ready
    ran = gyrus("deploy", folder, "--timeout", "0.2")
    assert ran.code == 1
    assert "After 0.2 s the rollout of iris has not ended. It continues." in ran.err
    assert ran.out == "iris is creating, not live yet (revision 1): starting\n"
    assert gyrus("get", "iris", "-o", "json").json["status"] == "creating"


def test_a_file_that_a_replica_misses_and_git_ignores_is_named(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    (folder / ".gitignore").write_text("*.pkl\n")
    (folder / "model.pkl").touch()
    missing = "FileNotFoundError: [Errno 2] No such file or directory: '/home/replicas/iris/work/0/model.pkl'"
    operator.backend.script = fails(Reason.INIT, "broken", missing)
    ran = gyrus("deploy", folder)
    assert ran.code == 1
    assert "warning: model.pkl looks like a model, but is not in the package" in ran.err
    assert (
        "model.pkl is in the project, but .gitignore leaves it out of the package: "
        "add the line !/model.pkl to .gyrusignore.\n  No revision serves iris."
    ) in ran.err


def one_ready(order: ReplicaOrder) -> tuple[Step, ...]:
    return builds_first(order) if order.api == "a" else never_ready(order)


def one_broken(order: ReplicaOrder) -> Sequence[Step]:
    return builds_first(order) if order.api == "a" else fails(Reason.INIT, "broken")(order)


def test_when_the_time_is_up_the_live_apis_are_named(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    operator.backend.script = one_ready
    ran = gyrus("deploy", folder, "--timeout", "3")
    assert ran.code == 1
    live, endpoint, pending = ran.out.splitlines()
    assert live.startswith("a is live (revision 1) after ")
    assert endpoint == f"  {operator.gateway}/a"
    assert pending == "b is creating, not live yet (revision 1): starting"
    assert "After 3 s the rollout of b has not ended. It continues." in ran.err


def test_when_the_time_is_up_the_json_has_every_api(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    operator.backend.script = one_ready
    ran = gyrus("deploy", folder, "--timeout", "3", "-o", "json")
    assert ran.code == 1
    assert {api["name"]: (api["status"], api["message"]) for api in ran.json} == {
        "a": ("live", ""),
        "b": ("creating", "starting"),
    }


def test_an_update_that_takes_too_long_names_the_revision_that_serves(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    assert gyrus("deploy", folder).code == 0
    operator.backend.script = never_ready
    (folder / "handler.py").write_text(HANDLER + "# changed\n")
    ran = gyrus("deploy", folder, "--timeout", "0.5")
    assert ran.code == 1
    first, second = ran.out.splitlines()
    assert first.startswith("iris is updating, not live yet (revision 2)")
    assert second == f"  revision 1 serves meanwhile: {operator.gateway}/iris"


def test_beside_a_failure_the_live_apis_are_named(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    operator.backend.script = one_broken
    ran = gyrus("deploy", folder)
    assert ran.code == 1
    live, endpoint = ran.out.splitlines()
    assert live.startswith("a is live (revision 1) after ")
    assert endpoint == f"  {operator.gateway}/a"
    assert "The rollout of b failed" in ran.err


def test_a_faulty_file_is_reported_with_its_places(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    (folder / "gyrus.yaml").write_text("- name: Iris\n  handler: {pth: handler.py}\n")
    ran = gyrus("deploy", folder)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: The specification has ")
    assert f"  {folder / 'gyrus.yaml'}:1:9: " in ran.err
    assert gyrus("get", "-o", "json").json == []


def test_too_large_a_project(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    (folder / "weights").write_bytes(bytes(PACKAGE_LIMIT))
    ran = gyrus("deploy", folder)
    assert ran.code == 2
    assert "larger than the allowed 16.0 MiB" in ran.err


def test_a_link_that_leaves_the_folder_is_refused(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    (folder / "secret").symlink_to("/etc/passwd")
    ran = gyrus("deploy", folder)
    assert ran.code == 2
    assert "secret" in ran.err


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_reports_that_the_rollout_goes_on(operator: Operator, folder: Path) -> None:
    operator.backend.script = never_ready
    process = subprocess.Popen(
        [sys.executable, "-m", "gyrus.cli.main", "deploy", str(folder)],
        env={**os.environ, "GYRUS_HOME": str(operator.home.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    reported = process.stderr.readline()
    while "starting" not in reported:
        reported = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err == "Interrupted. The rollout of iris continues.\n  Watch it with: gyrus describe iris\n"


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_rollout_is_a_picture(operator: Operator, folder: Path) -> None:
    operator.backend.script = never_ready
    with on_terminal(operator, "deploy", str(folder)) as terminal:
        terminal.read_until(b"starting")
        [replica] = operator.replica_ids("iris")
        operator.call(lambda: operator.backend.set(replica, Step(phase=Phase.READY)))
        shown = terminal.read_until(b"Try it:")
    assert replica.encode() in shown
    assert b"\x1b[32mlive" in shown
    assert b"iris: iris-1-" not in shown


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_without_colour_where_that_is_asked_for(operator: Operator, folder: Path) -> None:
    with on_terminal(operator, "deploy", str(folder), NO_COLOR="1") as terminal:
        shown = terminal.read_until(b"Try it:")
    assert b"iris is live" in shown
    assert b"\x1b[32m" not in shown


def tried(err: str) -> list[str]:
    return err.partition("\nTry it:\n")[2].splitlines()


def test_a_payload_that_is_not_known_is_not_made_up(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    predict, curl, note = tried(gyrus("deploy", folder).err)
    assert predict == "  gyrus predict iris '...'"
    assert curl == f"  curl {operator.gateway}/iris -H 'content-type: application/json' -d '...'"
    assert f"Write one into {folder / 'sample.json'}" in note


def test_each_api_has_its_own_sample(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("a"), handler_api("b"))
    (folder / "sample.json").write_text("1")
    (folder / "b.sample.json").write_text("2")
    shown = [line for line in tried(gyrus("deploy", folder).err) if "predict" in line]
    assert shown == [
        f"  gyrus predict a @{folder / 'sample.json'}",
        f"  gyrus predict b @{folder / 'b.sample.json'}",
    ]
    assert gyrus(*shown[1].split()[1:]).json == 2


@pytest.mark.parametrize("command", ["deploy", "validate"])
def test_a_faulty_sample_is_a_warning(operator: Operator, gyrus: Gyrus, folder: Path, command: str) -> None:
    (folder / "sample.json").write_text('{"a": 1,}')
    ran = gyrus(command, folder)
    assert ran.code == 0
    [warned] = [line for line in ran.err.splitlines() if line.startswith("warning: ")]
    assert warned.startswith(f"warning: {folder / 'sample.json'}:1:8: the sample payload is not JSON: ")
    assert "@" not in "".join(tried(ran.err))


def test_an_idle_api_is_tried_with_its_sample(operator: Operator, gyrus: Gyrus, folder: Path) -> None:
    Project(folder).write(handler_api("nap", autoscaling={"min_replicas": 0, "init_replicas": 0}))
    assert tried(gyrus("deploy", folder).err) == []
    (folder / "sample.json").write_text("1")
    assert tried(gyrus("deploy", folder).err)[0] == f"  gyrus predict nap @{folder / 'sample.json'}"


def test_a_server_that_describes_nothing_is_not_guessed(
    operator: Operator, gyrus: Gyrus, folder: Path
) -> None:
    Project(folder).write({"name": "words", "process": {"command": ["python", "server.py"]}})
    ran = gyrus("deploy", folder)
    assert ran.code == 0
    assert tried(ran.err) == []
