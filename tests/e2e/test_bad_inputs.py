"""Projects that cannot be deployed: each is refused in exact words, and what served before serves on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.messages import block, failed_rollout, faults
from support.platform import Platform
from support.project import Project, handler_api

ECHO = "class Handler:\n    def predict(self, payload):\n        return payload\n"
STARTS = "class Handler:\n    def __init__(self, config):\n        {}\n    def predict(self, payload): ...\n"


@pytest.fixture(scope="module")
def served(shared_platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """It has one API, ``echo``, that must go on serving whatever else is tried."""
    folder = Project(tmp_path_factory.mktemp("echo")).write(handler_api("echo"), handler=ECHO)
    shared_platform.gyrus("deploy", folder, "--yes")
    return shared_platform


@pytest.fixture(autouse=True)
def nothing_is_lost(served: Platform) -> Iterator[None]:
    yield
    assert served.ask("echo", {"still": "there"}).json == {"still": "there"}
    assert served.json("get", "echo")["status"] == "live"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def refusal(platform: Platform, path: Path, code: int = 2) -> str:
    return block(platform.failure("deploy", path, "--yes", code=code))


def outcome(platform: Platform, project: Project, api: dict[str, Any], handler: str | None = None) -> str:
    """How the deploy of an API fails that was accepted."""
    return refusal(platform, project.write(api, handler=handler), code=1)


# The specification

API = "- name: flats\n  kind: RealtimeAPI\n  handler: {path: handler.py}\n"


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        pytest.param(
            "- name: flats\n  kind: [RealtimeAPI\n",
            ["3:1: a ] or a comma is missing; add the ] that belongs to the [ in line 2, or a comma"],
            id="invalid YAML",
        ),
        pytest.param(
            f"{API}  max_concurrency: many\n  timeout: [1]\n  autoscaling: {{min_replicas: 2.5}}\n",
            [
                '4:20: max_concurrency: must be a whole number, not "many"; '
                "write for example max_concurrency: 1",
                "5:12: timeout: a list is not a duration; write for example 500ms, 10s, 5m or 1h",
                "6:31: autoscaling.min_replicas: must be a whole number, not 2.5; "
                "write for example min_replicas: 1",
            ],
            id="wrong types",
        ),
        pytest.param(
            API + API,
            ["4:9: name: flats is the name of another API too, in line 1; rename one of them"],
            id="two APIs of one name",
        ),
        pytest.param(
            API.replace("handler:", "handlr:"),
            ['3:3: handlr: unknown field; did you mean "handler"?'],
            id="unknown field",
        ),
        pytest.param(
            API.replace("handler:", "model:"),
            ["3:3: model: is not available yet: this version serves no model without code; write a handler"],
            id="a model",
        ),
        pytest.param(
            "- name: flats\n  kind: RealtimeAPI\n  pod: {containers: []}\n",
            [
                "3:21: pod.containers: must not be empty; write for example "
                "containers: [{name: api, image: iris:1}]"
            ],
            id="a pod without containers",
        ),
        pytest.param("", ["1:1: the file is empty; begin with: - name: my-api"], id="an empty file"),
    ],
)
def test_a_faulty_specification(served: Platform, project: Project, text: str, reported: list[str]) -> None:
    folder = project.write(handler=ECHO)
    (folder / "gyrus.yaml").write_text(text)
    assert refusal(served, folder) == faults(*(f"{folder}/gyrus.yaml:{line}" for line in reported))
    assert [api["name"] for api in served.json("get")].count("flats") == 0


def test_a_pod_on_one_machine(served: Platform, project: Project) -> None:
    folder = project.write(handler=ECHO)
    (folder / "gyrus.yaml").write_text("name: flats\npod: {containers: [{name: api, image: iris:1}]}\n")
    assert refusal(served, folder) == (
        "error: The specification is not valid.\n\n"
        "  apis: flats: pod: works on Kubernetes only, and this platform runs on one machine; "
        "deploy it with -e to an environment of gyrus cluster install, or write a process or a handler\n"
    )


def test_a_folder_without_a_specification(served: Platform, project: Project) -> None:
    project.folder.mkdir()
    reported = (
        f"error: The folder {project.folder} has no gyrus.yaml.\n"
        f"  Write a project with: gyrus init {project.folder}\n"
    )
    assert refusal(served, project.folder) == reported
    (project.folder / "handler.py").write_text(ECHO)
    assert refusal(served, project.folder) == reported


def test_a_path_that_is_not_there(served: Platform, tmp_path: Path) -> None:
    reported = (
        f"error: There is no file or folder {tmp_path}/flats.\n"
        f"  Write a new project with: gyrus init {tmp_path}/flats\n"
    )
    assert refusal(served, tmp_path / "flats") == reported


# Its files


def test_a_missing_handler_file(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("flats"), handler=ECHO)
    (folder / "handler.py").rename(folder / "handlers.py")
    assert refusal(served, folder) == faults(
        f"{folder}/gyrus.yaml:6:15: handler.path: there is no file handler.py in {folder}; "
        'did you mean "handlers.py"?'
    )


def test_a_syntax_error(served: Platform, project: Project) -> None:
    folder = project.write(
        handler_api("flats"), handler="class Handler:\n    def predict(self)\n        pass\n"
    )
    assert refusal(served, folder) == faults(f"{folder}/handler.py:2:22: syntax error: expected ':'")


def test_a_handler_that_is_not_text(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("flats"))
    (folder / "handler.py").write_bytes(b"\xff\xfe\x00")
    assert refusal(served, folder).startswith(
        f"error: The specification has 1 fault.\n\n  {folder}/handler.py:1:1: "
    )


def test_a_link_that_leaves_the_folder(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("flats"), handler=ECHO)
    (folder / "weights").symlink_to("/etc/passwd")
    assert refusal(served, folder) == (
        "error: weights is a link to /etc/passwd, which leaves the folder; "
        "replace it by a copy of the file, or leave it out with a line in .gyrusignore.\n"
    )


def test_a_handler_outside_the_folder_is_not_even_read(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("flats"))
    (folder / "handler.py").symlink_to("/etc/passwd")
    assert refusal(served, folder) == faults(
        f"{folder}/gyrus.yaml:6:15: handler.path: handler.py is a link to /etc/passwd, "
        "outside the project's folder; copy the file into the folder"
    )


def test_a_pipe_among_the_files(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("flats"), handler=ECHO)
    os.mkfifo(folder / "pipe")
    assert refusal(served, folder) == (
        "error: pipe is a pipe, which cannot be packed; "
        "remove it, or leave it out with a line in .gyrusignore.\n"
    )


# Its environment


def test_dependencies_that_cannot_be_read(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("dependent"), handler=ECHO)
    (folder / "requirements.txt").write_text("six==\n")
    reported = refusal(served, folder, code=1)
    cause = "Couldn't parse requirement in `requirements.txt` at position 0"
    assert reported.startswith(
        "error: The rollout of dependent failed. Revision 1 did not become ready (DependencyFailure): "
        f"installing requirements.txt failed: {cause}.\n\n  error: {cause}\n"
    )
    assert reported.endswith(
        "\n\n  No revision serves dependent. See: gyrus describe dependent, gyrus logs dependent\n"
    )


def test_dependencies_that_do_not_exist(served: Platform, project: Project) -> None:
    """In the installer's own words, which depend on where it looked."""
    folder = project.write(handler_api("hopeful"), handler=ECHO)
    (folder / "requirements.txt").write_text("gyrus-no-such-package==1\n")
    reported = refusal(served, folder, code=1)
    assert re.match(
        r"error: The rollout of hopeful failed\. Revision 1 did not become ready \(DependencyFailure\): "
        r"installing requirements\.txt failed: [^\n]*\.\n\n  error: [^\n]*\n",
        reported,
    ), reported
    assert "gyrus-no-such-package" in reported


# Its start


def test_an_import_error(served: Platform, project: Project) -> None:
    assert outcome(
        served, project, handler_api("importing"), f"import no_such_module\n{ECHO}"
    ) == failed_rollout(
        "importing",
        "(ImportError): handler.py cannot be imported: ModuleNotFoundError: No module named 'no_such_module' "
        "(handler.py:1); add its package to requirements.txt, or correct the import",
        "Traceback (most recent call last):",
        '  File "handler.py", line 1, in <module>',
        "    import no_such_module",
        "ModuleNotFoundError: No module named 'no_such_module'",
    )


def test_an_init_that_raises(served: Platform, project: Project) -> None:
    handler = STARTS.format('raise ValueError("no weights here")')
    assert outcome(served, project, handler_api("raising"), handler) == failed_rollout(
        "raising",
        "(InitFailure): Handler.__init__ failed: ValueError: no weights here (handler.py:3)",
        "Traceback (most recent call last):",
        '  File "handler.py", line 3, in __init__',
        '    raise ValueError("no weights here")',
        "ValueError: no weights here",
    )


def test_an_init_that_exits(served: Platform, project: Project) -> None:
    assert outcome(
        served, project, handler_api("leaving"), STARTS.format("raise SystemExit(3)")
    ) == failed_rollout(
        "leaving",
        "(InitFailure): Handler.__init__ failed: SystemExit: 3 (handler.py:3)",
        "Traceback (most recent call last):",
        '  File "handler.py", line 3, in __init__',
        "    raise SystemExit(3)",
        "SystemExit: 3",
    )


def test_an_init_that_ends_the_process(served: Platform, project: Project) -> None:
    handler = "import os\n" + STARTS.format('print("bye now", flush=True); os._exit(3)')
    assert outcome(served, project, handler_api("ending"), handler) == failed_rollout(
        "ending", "(Exited): it exited with code 3", "bye now"
    )


def test_an_init_that_takes_too_much_memory(served: Platform, project: Project) -> None:
    handler = STARTS.format('self.held = b"x" * 2**30')
    reported = outcome(served, project, handler_api("greedy", compute={"mem": "128Mi"}), handler)
    assert re.sub(r"used \d+ MiB", "used 1024 MiB", reported) == failed_rollout(
        "greedy", "(OutOfMemory): it used 1024 MiB, but compute.mem allows 128 MiB; raise compute.mem"
    )


def test_more_devices_than_there_are(served: Platform, project: Project) -> None:
    reported = outcome(served, project, handler_api("accelerated", compute={"gpu": 64}), ECHO)
    assert re.sub(r"this machine has \w+;", "this machine has none;", reported) == failed_rollout(
        "accelerated",
        "(Unschedulable): compute.gpu is 64, and this machine has none; "
        "request fewer, or deploy to a machine with more",
    )


def test_a_broken_update_is_reported_with_what_serves(served: Platform, project: Project) -> None:
    served.gyrus("deploy", project.write(handler_api("updated"), handler=ECHO), "--yes")
    reported = outcome(served, project, handler_api("updated"), STARTS.format("os._exit(3)"))
    assert reported == failed_rollout(
        "updated",
        "(InitFailure): Handler.__init__ failed: NameError: name 'os' is not defined (handler.py:3)",
        "Traceback (most recent call last):",
        '  File "handler.py", line 3, in __init__',
        "    os._exit(3)",
        "NameError: name 'os' is not defined. Did you forget to import 'os'?"
        if "forget" in reported
        else "NameError: name 'os' is not defined",
        serving=1,
    )
    assert served.ask("updated", 1).json == 1
    assert served.json("get", "updated")["message"] == (
        "Revision 2 did not become ready (InitFailure): Handler.__init__ failed: "
        "NameError: name 'os' is not defined (handler.py:3). Revision 1 goes on serving."
    )


# Servers that are not ours


def process_api(name: str, *command: str) -> dict[str, Any]:
    return {"name": name, "kind": "RealtimeAPI", "process": {"command": list(command)}}


def test_a_command_that_is_not_there(served: Platform, project: Project) -> None:
    assert outcome(served, project, process_api("absent", "no-such-program")) == failed_rollout(
        "absent",
        "(DependencyFailure): the command no-such-program was not found; "
        "add its package to requirements.txt or correct process.command",
    )


def test_a_process_that_exits(served: Platform, project: Project) -> None:
    reported = outcome(served, project, process_api("brief", "sh", "-c", "echo no settings; exit 7"))
    assert reported == failed_rollout("brief", "(Exited): it exited with code 7", "no settings")


def test_a_process_that_listens_elsewhere_is_reported_while_it_starts(
    served: Platform, project: Project
) -> None:
    elsewhere = process_api("deaf", "python3", "-m", "http.server", "--bind", "127.0.0.1", "0")
    reported = served.failure("deploy", project.write(elsewhere), "--yes", "--timeout", "3")
    assert re.search(
        r"starting: nothing listens on 127\.0\.0\.1:\d+; "
        r"it listens on 127\.0\.0\.1:\d+ instead of \$PORT\n",
        reported,
    ), reported
    assert block(reported) == (
        "error: After 3 s the rollout of deaf has not ended. It continues.\n"
        "  Watch it with: gyrus describe deaf\n"
    )
    served.gyrus("delete", "deaf", "--yes")


# Deploying users


def test_ctrl_c_leaves_the_rollout_going_on(served: Platform, project: Project) -> None:
    folder = project.write(handler_api("slow"), handler=f"import time\ntime.sleep(60)\n{ECHO}")
    deploy = subprocess.Popen(
        [served.command, "deploy", str(folder), "--yes"],
        env=served.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert deploy.stderr
    while "starting" not in deploy.stderr.readline():
        assert deploy.poll() is None
    deploy.send_signal(signal.SIGINT)
    out, err = deploy.communicate(timeout=30)
    assert (deploy.returncode, out) == (130, "")
    assert err.endswith("Interrupted. The rollout of slow continues.\n  Watch it with: gyrus describe slow\n")
    assert served.json("get", "slow")["status"] == "creating"
    served.gyrus("delete", "slow", "--yes")


def test_of_two_deploys_at_once_the_last_wins(served: Platform, tmp_path: Path) -> None:
    def deploy(number: int) -> subprocess.CompletedProcess[str]:
        handler = f"class Handler:\n    def predict(self, payload):\n        return {number}\n"
        folder = Project(tmp_path / str(number)).write(handler_api("twice"), handler=handler)
        command = [served.command, "deploy", str(folder), "--yes"]
        return subprocess.run(command, env=served.environment, capture_output=True, text=True, check=False)

    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(deploy, (1, 2)))
    lost = [done for done in ended if done.returncode]
    assert len(lost) <= 1, [done.stderr for done in lost]
    for done in lost:
        assert block(done.stderr) == (
            "error: The rollout of twice failed. A newer deploy, rollback or refresh replaced it.\n"
            "  See the APIs: gyrus get\n"
        )
    [live] = [revision for revision in served.json("history", "twice") if revision["live"]]
    assert live["number"] == 2
    winners = {number for number, done in zip((1, 2), ended, strict=True) if not done.returncode}
    assert served.ask("twice", {}).json in winners
