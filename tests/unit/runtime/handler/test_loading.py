"""Messages about handlers that cannot be loaded."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyrus.contract.replica import HandlerConfig, Reason
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.loading import enter_project, load


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(project: Path, text: str, path: str = "model_code.py") -> None:
    file = project / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(textwrap.dedent(text))


def loaded(project: Path, path: str = "model_code.py", **config: object) -> LoadedHandler:
    enter_project(str(project))
    return load(HandlerConfig(path=path, config=dict(config)))


def failure(project: Path, path: str = "model_code.py") -> LoadFailed:
    with pytest.raises(LoadFailed) as caught:
        loaded(project, path)
    return caught.value


def test_class_handler_is_found_beside_others(project: Path) -> None:
    write(
        project,
        """
        import helper
        class Other:
            def predict(self): ...
        class Handler:
            def __init__(self, config):
                self.config = config
            def predict(self, payload):
                return helper.ANSWER
        """,
    )
    write(project, "ANSWER = 42", "helper.py")
    handler = loaded(project, threshold=0.5)
    assert handler.predict(payload=1) == 42
    assert vars(handler.instance) == {"config": {"threshold": 0.5}}
    assert type(handler.instance).__module__ == "model_code", "or it could not be pickled"


def test_the_only_class_with_predict_is_found(project: Path) -> None:
    write(
        project,
        "from collections import OrderedDict\nclass Iris:\n    def predict(self): return 1\nclass B: ...",
    )
    assert loaded(project).predict() == 1


def test_a_file_in_a_folder(project: Path) -> None:
    write(project, "class Handler:\n    def predict(self): return __name__", "src/serving/main.py")
    assert loaded(project, "src/serving/main.py").predict() == "src.serving.main"


def test_a_file_named_like_a_module_of_python(project: Path) -> None:
    write(project, "import json\nclass Handler:\n    def predict(self): return json.dumps(1)", "json.py")
    write(project, "class Handler:\n    def predict(self): return 'mine'", "types.py")
    assert loaded(project, "types.py").predict() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "model_code.py has no class with predict(); "
                  "write: class Handler, with def predict(self, payload)"),
        (
            "class A:\n    def predict(self): ...\nclass B:\n    def predict(self): ...",
            "model_code.py has several classes with predict() (A, B); rename one of them to Handler",
        ),
        ("class Handler: ...", "the class Handler has no method predict; write: def predict(self, payload)"),
        (
            "class Handler:\n    def predict(self, data): ...",
            "Handler.predict() requires the argument 'data', which does not exist; "
            "it can take payload, query_params, headers, request_id, path, cancelled",
        ),
        (
            "class Handler:\n    def __init__(self, settings): ...\n    def predict(self): ...",
            "Handler.__init__() requires the argument 'settings', which does not exist; "
            "it can only take config",
        ),
        ("import no_such_module", "model_code.py cannot be imported: ModuleNotFoundError: No module named "
                                  "'no_such_module' (model_code.py:1); "
                                  "add its package to requirements.txt, or correct the import"),
        ("def f(:", "model_code.py cannot be imported: SyntaxError: invalid syntax (model_code.py:1)"),
        ("raise SystemExit(3)", "model_code.py cannot be imported: SystemExit: 3 (model_code.py:1)"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_serve(project: Path, text: str, message: str) -> None:
    write(project, text)
    failed = failure(project)
    assert failed.reason is Reason.IMPORT
    assert failed.message == message


def test_a_missing_file(project: Path) -> None:
    failed = failure(project, "nowhere.py")
    assert (failed.reason, failed.message) == (
        Reason.IMPORT,
        "there is no file nowhere.py in the project; correct handler.path",
    )


def test_a_missing_project(project: Path) -> None:
    failed = failure(project / "gone")
    assert failed.reason is Reason.PACKAGE


def test_an_init_that_raises(project: Path) -> None:
    write(
        project,
        """
        import weights
        class Handler:
            def __init__(self, config):
                weights.read(config["missing"])
            def predict(self): ...
        """,
    )
    write(project, "def read(name): ...", "weights.py")
    failed = failure(project)
    assert failed.reason is Reason.INIT
    assert failed.message == "Handler.__init__ failed: KeyError: 'missing' (model_code.py:5)"
    assert failed.lines[0] == "Traceback (most recent call last):"
    assert failed.lines[-1] == "KeyError: 'missing'"
    assert sum("File " in line for line in failed.lines) == 1, "the user's frames alone"


def test_the_lines_of_a_syntax_error_show_the_place(project: Path) -> None:
    write(project, "x = 1\ndef f(:\n    pass")
    assert [line.strip() for line in failure(project).lines][-3:] == [
        "def f(:",
        "^",
        "SyntaxError: invalid syntax",
    ]


def test_batches_need_a_list(project: Path) -> None:
    write(project, "class Handler:\n    def predict(self, payload: int): ...")
    enter_project(str(project))
    with pytest.raises(LoadFailed, match="annotate it as payload: list\\[int\\]"):
        load(HandlerConfig(path="model_code.py", batch_max_size=2))
