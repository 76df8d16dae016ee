"""The names of handlers' modules, and the remedies of failed imports."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gyrus.contract.replica import Reason
from gyrus.runtime.handler.failure import LoadFailed
from gyrus.runtime.handler.importing import import_file
from gyrus.runtime.handler.loading import enter_project

HANDLER = "class Handler:\n    def predict(self): ...\ndef square(x): return x * x\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("GYRUS_PROJECT", "")
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def imported(project: Path, path: str, text: str = HANDLER, **others: str) -> ModuleType:
    for name, content in {path: text, **{f"{key}.py": value for key, value in others.items()}}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(content)
    enter_project(str(project))
    return import_file(path)


def message(project: Path, path: str, text: str, **others: str) -> str:
    with pytest.raises(LoadFailed) as failed:
        imported(project, path, text, **others)
    assert failed.value.reason is Reason.IMPORT
    return failed.value.message


@pytest.mark.processes
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("own_model.py", "own_model"),
        ("model-server.py", "model-server"),
        ("my-models/serve.py", "my-models.serve"),
        ("own/pkg/serve.py", "own.pkg.serve"),
        ("code.py", "gyrus.runtime.project.code"),
        ("json/serve.py", "gyrus.runtime.project.json.serve"),
        ("uvloop.py", "gyrus.runtime.project.uvloop"),
        ("orjson.py", "gyrus.runtime.project.orjson"),
        ("v1.2/serve.py", "gyrus.runtime.project.v1%2e2.serve"),
        ("a.b%2e.py", "gyrus.runtime.project.a%2eb%252e"),
    ],
)
def test_another_process_can_import_the_module(project: Path, path: str, name: str) -> None:
    import uvloop as uvloop  # the worker imports it before the project

    module = imported(project, path)
    assert module.__name__ == name
    spawned = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        f"import pickle; print(pickle.loads({pickle.dumps(module.square)!r})(3))"
    )
    result = subprocess.run([sys.executable, "-P", "-c", spawned], capture_output=True, text=True, check=True)
    assert result.stdout == "9\n"


def test_a_package_is_imported_before_its_module(project: Path) -> None:
    (project / "serving").mkdir()
    (project / "serving" / "__init__.py").write_text("STATE = ['package']")
    (project / "serving" / "helper.py").write_text("from . import STATE\nSTATE.append('helper')")
    module = imported(
        project, "serving/main.py", f"from .helper import STATE\nfrom serving import helper\n{HANDLER}"
    )
    assert module.STATE == ["package", "helper"]
    assert module is sys.modules["serving"].main


def test_a_package_whose_name_is_taken_has_relative_imports_too(project: Path) -> None:
    (project / "json").mkdir()
    (project / "json" / "__init__.py").write_text("")
    (project / "json" / "helper.py").write_text("V = 7")
    assert imported(project, "json/main.py", f"from .helper import V\nimport json\n{HANDLER}").V == 7
    assert not str(sys.modules["json"].__file__).startswith(str(project))


def test_modules_beside_the_file_are_found_but_hide_nothing(project: Path) -> None:
    (project / "serving").mkdir()
    (project / "serving" / "preprocess.py").write_text("V = 1")
    (project / "serving" / "string.py").write_text("V = 2")
    module = imported(project, "serving/handler.py", f"from preprocess import V\nimport string\n{HANDLER}")
    assert module.V == 1
    assert module.string.ascii_lowercase


def test_a_second_project_in_one_process_has_its_own_modules(project: Path) -> None:
    assert imported(project / "a", "code.py", f"V = 1\n{HANDLER}").V == 1
    os.chdir(project)
    assert imported(project / "b", "code.py", f"V = 2\n{HANDLER}").V == 2


def test_a_module_elsewhere_in_the_project(project: Path) -> None:
    (project / "lib" / "text").mkdir(parents=True)
    (project / "lib" / "text" / "clean.py").write_text("")
    found = message(project, "handler.py", "import clean")
    assert found.endswith("(handler.py:1); lib/text/clean.py is imported as lib.text.clean")


def test_a_relative_import_in_no_package(project: Path) -> None:
    found = message(project, "handler_of_mine.py", "from .helper import V", helper="V = 1")
    assert found.endswith("the file is in no folder of the project: write the import without the leading dot")


def test_a_module_that_hides_one_of_python_s(project: Path) -> None:
    found = message(project, "my_handler.py", "import nturl2path\nnturl2path.pathname2url", nturl2path="")
    assert found.endswith("; nturl2path.py has the name of Python's module nturl2path: rename it")


def test_a_module_that_hides_an_installed_one(
    project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed = tmp_path_factory.mktemp("site-packages")
    (installed / "own_library.py").write_text("V = 1")
    sys.path.append(str(installed))
    found = message(project, "my_handler.py", "from own_library import V", own_library="")
    assert found.endswith("; own_library.py has the name of the installed module own_library: rename it")


def test_a_module_that_python_s_hides(project: Path) -> None:
    found = message(project, "my_handler.py", "from json import my_helper", json="my_helper = 1")
    assert found.endswith("; json.py has the name of Python's module json: rename it")


def test_a_module_that_the_runtime_hides(project: Path) -> None:
    found = message(project, "my_handler.py", "from gyrus.models import V", gyrus="V = 1")
    assert found.endswith("; gyrus.py has the name of the installed module gyrus: rename it")
    found = message(project, "other_handler.py", "import msgspec\nmsgspec.mine()", msgspec="V = 1")
    assert found.endswith("; msgspec.py has the name of the installed module msgspec: rename it")
