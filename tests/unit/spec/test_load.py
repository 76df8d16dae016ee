from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.spec.faults import SpecError
from gyrus.spec.load import check, load, loads
from gyrus.spec.realtime import RealtimeSpec

HANDLER = "class Handler:\n    def predict(self, payload):\n        return payload\n"
SPEC = "- name: iris\n  handler: {path: handler.py}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a right specification, which is the working folder too."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gyrus.yaml").write_text(SPEC)
    (tmp_path / "handler.py").write_text(HANDLER)
    return tmp_path


def faults(path: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(Path(path))
    return [str(fault) for fault in caught.value.faults]


def test_a_file(project: Path):
    spec = load(Path("gyrus.yaml"))
    assert (spec.path, spec.folder, spec.apis[0].name) == (Path("gyrus.yaml"), Path(), "iris")


def test_a_folder_means_its_gyrus_yaml(project: Path):
    assert load(project).path == project / "gyrus.yaml"
    assert load(Path()).path == Path("gyrus.yaml")


def test_several_apis_anchors_and_merged_fields():
    first, second = loads(
        textwrap.dedent("""\
        - &first
          name: a
          handler: &handler {path: h.py, config: {depth: 3}}
          env: &env {LEVEL: info, SIZE: 007, RATE: 1.50, DAY: 2026-01-01, "ON": "on"}
        - <<: *first
          name: b
          env: {<<: *env, LEVEL: debug}
        """),
        "gyrus.yaml",
    )
    assert isinstance(first, RealtimeSpec)
    assert isinstance(second, RealtimeSpec)
    assert first.handler == second.handler
    assert first.env == {"LEVEL": "info", "SIZE": "007", "RATE": "1.50", "DAY": "2026-01-01", "ON": "on"}
    assert second.env == first.env | {"LEVEL": "debug"}


def test_a_single_api_needs_no_list():
    (api,) = loads("name: a\nprocess: {command: [serve, --port, 8080, --rate, 0.50]}\n", "gyrus.yaml")
    assert isinstance(api, RealtimeSpec)
    assert api.process
    assert api.process.command == ("serve", "--port", "8080", "--rate", "0.50")


def test_the_specification_of_the_design(project: Path):
    (project / "requirements.txt").touch()
    (project / "gyrus.yaml").write_text(
        textwrap.dedent("""\
        - name: iris
          kind: RealtimeAPI
          handler:
            path: handler.py
            config: {threshold: 0.5}
            requirements: requirements.txt
            batching: {max_size: 32, max_wait: 5ms}
            processes: 1
          max_concurrency: 1
          max_queue_length: 100
          timeout: 60s
          compute: {cpu: 200m, mem: 512Mi, gpu: 0}
          env: {KEY: value}
          autoscaling:
            {min_replicas: 1, max_replicas: 100, init_replicas: 1, target_in_flight: 1, window: 60s,
             upscale_stabilization_period: 1m, downscale_stabilization_period: 5m, max_upscale_factor: 1.5,
             max_downscale_factor: 0.75, upscale_tolerance: 0.05, downscale_tolerance: 0.05}
          update_strategy: {max_surge: 25%, max_unavailable: 25%}
          networking: {endpoint: iris}
        """)
    )
    (api,) = load(project).apis
    assert isinstance(api, RealtimeSpec)
    assert api.slots == 32


def test_a_missing_specification(project: Path):
    assert faults("gyrus.yml") == ['gyrus.yml: there is no file gyrus.yml; did you mean "gyrus.yaml"?']
    assert faults("nowhere/gyrus.yaml") == ["nowhere/gyrus.yaml: there is no folder nowhere; check the path"]
    (project / "gyrus.yaml").unlink()
    assert faults("nowhere") == [
        "nowhere: there is no file or folder nowhere; write a new project with: gyrus init nowhere"
    ]
    Path("empty").mkdir()
    assert faults("empty") == [
        f"empty/gyrus.yaml: the folder {project / 'empty'} has no gyrus.yaml; "
        "write a project with: gyrus init empty"
    ]


def test_bytes_that_are_no_text(project: Path):
    (project / "gyrus.yaml").write_bytes(b"- name: iris\n  env: {A: \xff}\n")
    assert faults("gyrus.yaml") == ["gyrus.yaml:2:12: is not UTF-8 text; save the file as UTF-8"]
    (project / "gyrus.yaml").write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    assert load(project).apis[0].name == "iris"
    (project / "gyrus.yaml").write_bytes(b"#" * (2**20 + 1))
    assert faults("gyrus.yaml")[0].startswith("gyrus.yaml: has more than 1,048,576 bytes")


def test_a_missing_handler(project: Path):
    (project / "handler.py").rename(project / "handle.py")
    assert faults("gyrus.yaml") == [
        'gyrus.yaml:2:19: handler.path: there is no file handler.py in this folder; did you mean "handle.py"?'
    ]
    (project / "handle.py").unlink()
    (project / "handler.py").mkdir()
    assert faults("gyrus.yaml")[0].startswith(
        "gyrus.yaml:2:19: handler.path: handler.py is a folder, not a file"
    )


def test_missing_requirements_are_reported_beside_other_faults(project: Path):
    (project / "gyrus.yaml").write_text(
        "- name: iris\n  handler: {path: src/handler.py, requirements: reqs.txt}\n  timout: 4s\n"
    )
    (project / "requirements.txt").touch()
    assert faults("gyrus.yaml") == [
        "gyrus.yaml:2:19: handler.path: there is no file src/handler.py in this folder; "
        'did you mean "handler.py"?',
        "gyrus.yaml:2:49: handler.requirements: there is no file reqs.txt in this folder; "
        'did you mean "requirements.txt"?',
        'gyrus.yaml:3:3: timout: unknown field; did you mean "timeout"?',
    ]


def test_a_handler_behind_a_link_that_leaves_the_folder(
    project: Path, tmp_path_factory: pytest.TempPathFactory
):
    outside = tmp_path_factory.mktemp("outside") / "handler.py"
    outside.write_text(HANDLER)
    (project / "handler.py").unlink()
    (project / "handler.py").symlink_to(outside)
    assert faults("gyrus.yaml") == [
        f"gyrus.yaml:2:19: handler.path: handler.py is a link to {outside.resolve()}, "
        "outside the project's folder; copy the file into the folder"
    ]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def predict(:\n", "1:13: syntax error: invalid syntax"),
        ("class Handler:\n    def predict(self)\n        pass\n", "2:22: syntax error: expected ':'"),
        ("return 5\n", "1:1: syntax error: 'return' outside function"),
        (
            "x = 1\n",
            "1:1: has no class with a method predict; add class Handler with def predict(self, payload)",
        ),
        (
            "import os\n\nclass Handler:\n    pass\n",
            "3:1: the class Handler has no method predict; add def predict(self, payload)",
        ),
        (
            "class A:\n    def predict(self): ...\n\nclass B:\n    def predict(self): ...\n",
            "4:1: A and B both have a method predict; name the one to serve Handler",
        ),
    ],
)
def test_a_file_that_holds_no_handler(project: Path, source: str, fault: str):
    (project / "handler.py").write_text(source)
    assert faults("gyrus.yaml") == [f"handler.py:{fault}"]


@pytest.mark.parametrize(
    "source",
    [
        "class Mine:\n    async def predict(self, payload): ...\n",
        "class Base:\n    def predict(self): ...\n\nclass Mine(Base):\n    pass\n",
        "from models import Handler\n",
        "from models import *\n",
        "import models\n\nclass Mine(models.Base):\n    pass\n",
        "import models\n\nHandler = models.make()\n",
        "try:\n    import fast\nexcept ImportError:\n    class Handler:\n        def predict(self): ...\n",
        "class Handler:\n    def _answer(self): ...\n    predict = _answer\n",
        'class Handler:\n    pattern = "\\d"\n    def predict(self): ...\n',
        "class A:\n    def predict(self): ...\n\nclass Handler:\n    def predict(self): ...\n",
    ],
)
def test_files_that_may_hold_a_handler(project: Path, source: str):
    (project / "handler.py").write_text(source)
    assert load(project).apis


def test_data_without_a_text_is_checked_alike():
    (spec,) = loads(SPEC, "gyrus.yaml")
    assert check([spec.model_dump(mode="json")], "request") == (spec,)


@given(text=st.text(max_size=60) | st.text("-:[]{}&*!|>'\"%@# \n\tab1,?", max_size=60))
def test_any_text_is_read_or_refused(text: str):
    try:
        found = loads(text, "gyrus.yaml")
    except SpecError as error:
        found = error.faults
    assert found
