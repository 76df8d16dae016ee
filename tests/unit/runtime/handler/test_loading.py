"""Messages about handlers that cannot be loaded."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gyrus.contract.replica import HandlerConfig, Reason
from gyrus.runtime.handler import main_module
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.handler import LoadedHandler
from gyrus.runtime.handler.loading import enter_project, load
from gyrus.runtime.server.problems import RequestRefused
from gyrus.runtime.server.request import Request


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
            "it can take config, models",
        ),
        (
            "class Handler:\n    def predict(self, *args, **kwargs): ...",
            "Handler.predict(*args, **kwargs) does not show which arguments it takes; "
            "name them (payload, query_params, headers, request_id, path, cancelled), "
            "or if it is a decorator's function, add @functools.wraps to that",
        ),
        (
            "def hide(f):\n    def inner(self, **k): return f(self, **k)\n    return inner.__get__(0)\n"
            "class Handler:\n    @hide\n    def predict(self, payload): ...",
            "hide.<locals>.inner(**k) does not show which arguments it takes; "
            "name them (payload, query_params, headers, request_id, path, cancelled), "
            "or if it is a decorator's function, add @functools.wraps to that",
        ),
        (
            "class Handler:\n    def predict(self): ...\n    def post_predict(self, *args): ...",
            "Handler.post_predict(*args) does not show which arguments it takes; "
            "name them (response, payload, query_params, headers, request_id, path), "
            "or if it is a decorator's function, add @functools.wraps to that",
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


def test_a_decorator_with_wraps_shows_the_arguments(project: Path) -> None:
    write(
        project,
        """
        import functools
        def timed(f):
            @functools.wraps(f)
            def inner(*args, **kwargs): return f(*args, **kwargs)
            return inner
        class Handler:
            @timed
            def predict(self, payload: int, **more): return payload, more
        """,
    )
    handler = loaded(project)
    assert (handler.signature.names, handler.payload) == (("payload",), int)


@pytest.mark.parametrize(
    ("classes", "config"),
    [
        ("class Base:\n    def __init__(self, config): self.config = config", {"a": 1}),
        ("class Base:\n    def __init__(self, *args, **kwargs): self.config = args", ()),
        ("class Base(dict):\n    config = None", None),
        ("class Base:\n    config = None", None),
    ],
)
def test_a_constructor_that_passes_on_what_it_gets(project: Path, classes: str, config: object) -> None:
    write(
        project,
        f"{classes}\n"
        "class Handler(Base):\n"
        "    def __init__(self, *args, **kwargs): super().__init__(*args, **kwargs)\n"
        "    def predict(self): return self.config",
    )
    assert loaded(project, a=1).predict() == config


RESOLVABLE = """
    from __future__ import annotations
    from dataclasses import dataclass
    from typing import TYPE_CHECKING
    if TYPE_CHECKING:
        import numpy as np
    @dataclass
    class House:
        area: float
    @dataclass
    class Broken:
        area: np.float64
    class Handler:
        def predict(self, {payload}, request_id: np.str_ = "") -> np.ndarray: ...
"""


@pytest.mark.parametrize(
    "payload", ["payload: House", "payload: House | None = None", "payload: 'list[House]'"]
)
def test_an_annotation_that_cannot_be_resolved_leaves_the_others(
    project: Path, caplog: pytest.LogCaptureFixture, payload: str
) -> None:
    write(project, RESOLVABLE.format(payload=payload))
    handler = loaded(project)
    body = b'[{"area": "x"}]' if "list" in payload else b'{"area": "x"}'
    request = Request(b"POST", b"/", {b"content-type": b"application/json"}, body)
    with pytest.raises(RequestRefused, match=r"area: Expected `float`, got `str`"):
        handler.read_payload(request)
    assert handler.answer is Any
    assert not caplog.messages


@pytest.mark.parametrize(
    ("payload", "warning"),
    [
        ("payload: np.ndarray", "the annotation of payload cannot be resolved (NameError: name "
         "'np' is not defined); import its type outside of TYPE_CHECKING, at the top of the file"),
        ("payload: Broken", "the annotation Broken cannot be checked (NameError: name 'np' is not defined)"),
        ("payload: complex", "the annotation complex contains a class that cannot be made from JSON"),
        ("payload: dict | House", "cannot be checked (TypeError: Type unions may not contain more than"),
    ],
)  # fmt: skip
def test_payloads_that_are_not_checked_are_reported(
    project: Path, caplog: pytest.LogCaptureFixture, payload: str, warning: str
) -> None:
    write(project, RESOLVABLE.format(payload=payload))
    handler = loaded(project)
    request = Request(b"POST", b"/", {b"content-type": b"application/json"}, b'{"area": "x"}')
    assert handler.read_payload(request) == {"area": "x"}
    (message,) = caplog.messages
    assert message.startswith("payloads are not checked: ")
    assert warning in message


@pytest.fixture
def stand_in_for_main(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    main_module.stand_in()
    return sys.modules["__main__"]


PICKLED = b"\x80\x04c__main__\nScaler\n)\x81}b."
"""A Scaler, as a script would pickle it that defines it."""


def pickled_handler(project: Path, first: str) -> None:
    (project / "model.pkl").write_bytes(PICKLED)
    write(
        project,
        f"""
        import pickle
        {first}
        class Handler:
            def __init__(self):
                with open("model.pkl", "rb") as file:
                    self.model = pickle.load(file)
            def predict(self): return type(self.model).__name__
        """,
    )


@pytest.mark.parametrize("first", ["class Scaler: ...", "from train import Scaler"])
@pytest.mark.usefixtures("stand_in_for_main")
def test_an_object_that_was_pickled_in_a_script(project: Path, first: str) -> None:
    write(project, "class Scaler: ...", "train.py")
    pickled_handler(project, first)
    assert loaded(project).predict() == "Scaler"


@pytest.mark.usefixtures("stand_in_for_main")
def test_an_object_whose_class_is_missing(project: Path) -> None:
    pickled_handler(project, "import train")
    write(project, "class Scaler: ...", "train.py")
    failed = failure(project)
    assert failed.message == (
        "Handler.__init__ failed: AttributeError: Can't get attribute 'Scaler' on <module '__main__'> "
        "(model_code.py:7); Scaler was pickled in a script, where its module is __main__: "
        "define or import Scaler in model_code.py"
    )


@pytest.mark.usefixtures("stand_in_for_main")
def test_an_object_that_is_unpickled_at_import(project: Path) -> None:
    (project / "model.pkl").write_bytes(PICKLED)
    read = "pickle.load(open('model.pkl', 'rb'))\nclass Handler:\n    def predict(self): ..."
    write(project, f"import pickle\nclass Scaler: ...\nMODEL = {read}")
    assert loaded(project)
    del sys.modules["model_code"]
    write(project, f"import pickle\nMODEL = {read}")
    assert "define or import Scaler in model_code.py" in failure(project).message


def test_the_stand_in_hides_the_names_of_the_program(project: Path, stand_in_for_main: ModuleType) -> None:
    write(project, "mine = 1\nclass Handler:\n    def predict(self): ...")
    sys.modules["__main__"]._real.program = 2  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage, reportUnknownMemberType]
    try:
        loaded(project)
        assert stand_in_for_main.mine == 1
        assert not hasattr(stand_in_for_main, "program")
        assert stand_in_for_main.__name__ == "__main__"
    finally:
        del sys.modules["__main__"]._real.program  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage, reportUnknownMemberType]
