"""The files that list a project's dependencies, and their precedence."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.environments.dependencies import Dependencies, find_dependencies
from gyrus.environments.errors import EnvironmentFailure


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_project_without_dependency_files_needs_nothing(tmp_path: Path) -> None:
    assert find_dependencies(tmp_path, None) == Dependencies()


def test_requirements_are_read_with_all_that_they_refer_to(tmp_path: Path) -> None:
    write(
        tmp_path,
        requirements_txt="-r more.txt\nnumpy  # fast\n\n# nothing\nscipy \\\n  >=1\n",
        more_txt="-c sub/pins.txt\npandas",
        sub__pins_txt="pandas==2\n-r ../requirements.txt",
    )
    found = find_dependencies(tmp_path, None)
    assert found.file == tmp_path / "requirements.txt"
    assert {"numpy", "pandas", "pandas==2"} <= set(found.content)
    assert not found.local


@pytest.mark.parametrize(
    "option", ["-r more.txt", "-rmore.txt", "--requirement more.txt", "--requirement=more.txt"]
)
def test_every_way_to_refer_to_a_file_is_understood(tmp_path: Path, option: str) -> None:
    write(tmp_path, requirements_txt=option, more_txt="pandas")
    assert "pandas" in find_dependencies(tmp_path, None).content


def test_comments_and_layout_do_not_count(tmp_path: Path) -> None:
    one = find_dependencies(write(tmp_path / "one", requirements_txt="numpy # x\nscipy\n"), None)
    two = find_dependencies(write(tmp_path / "two", requirements_txt="# y\nnumpy\n\n  scipy"), None)
    assert one.content == two.content


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "--editable ./lib",
        ".",
        "./lib",
        "../lib[extra]",
        "/opt/lib",
        "lib @ file:///opt/lib",
        "lib @ ./lib",
        "wheels/lib-1.0-py3-none-any.whl",
        "--find-links ./wheels",
        "--find-links=/opt/x",
    ],
)
def test_requirements_that_are_files_are_noticed(tmp_path: Path, line: str) -> None:
    assert find_dependencies(write(tmp_path, requirements_txt=f"numpy\n{line}\n"), None).local


@pytest.mark.parametrize(
    "line",
    [
        "numpy==1.0",
        "lib @ https://example.com/lib-1.0-py3-none-any.whl",
        "--index-url https://example.com/simple",
        "uvicorn[standard]>=0.30; python_version < '3.13'",
        "git+https://example.com/lib.git@v1",
        "zipp",
    ],
)
def test_requirements_from_elsewhere_are_not_files(tmp_path: Path, line: str) -> None:
    assert not find_dependencies(write(tmp_path, requirements_txt=line), None).local


def test_a_named_file_goes_before_the_usual_ones(tmp_path: Path) -> None:
    write(tmp_path, requirements_txt="numpy", serving_txt="orjson")
    assert find_dependencies(tmp_path, "serving.txt").content == ("orjson",)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure) as failure:
        find_dependencies(tmp_path, "serving.txt")
    assert (
        str(failure.value)
        == "the file serving.txt (requirements) is not in the project; add it or correct the name"
    )


def test_of_a_project_file_the_dependencies_count(tmp_path: Path) -> None:
    text = '[project]\nname = "a"\ndependencies = ["numpy"]\n'
    one = find_dependencies(write(tmp_path / "one", pyproject_toml=text), None)
    two = find_dependencies(
        write(tmp_path / "two", pyproject_toml=text + "[tool.ruff]\nline-length = 99\n"), None
    )
    three = find_dependencies(write(tmp_path / "three", pyproject_toml=text.replace("numpy", "scipy")), None)
    assert one.file == tmp_path / "one" / "pyproject.toml"
    assert one.content == two.content != three.content
    assert not one.local


def test_a_project_file_without_a_project_asks_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml="[tool.ruff]\nline-length = 99\n")
    assert find_dependencies(tmp_path, None) == Dependencies()


@pytest.mark.parametrize(
    "more",
    ['dynamic = ["dependencies"]\n', '[tool.uv.sources]\nlib = { path = "lib" }\n'],
    ids=["dynamic", "path source"],
)
def test_a_project_file_may_need_the_files_beside_it(tmp_path: Path, more: str) -> None:
    write(tmp_path, pyproject_toml=f'[project]\nname = "a"\n{more}')
    assert find_dependencies(tmp_path, None).local


def test_a_broken_project_file_is_reported(tmp_path: Path) -> None:
    write(tmp_path, pyproject_toml="[project\n")
    with pytest.raises(EnvironmentFailure, match=r"^pyproject\.toml is not valid TOML: .*line 1"):
        find_dependencies(tmp_path, None)


def test_a_reference_to_itself_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").symlink_to("requirements.txt")
    with pytest.raises(EnvironmentFailure, match=r"^the file requirements\.txt \(requirements\) is not in"):
        find_dependencies(tmp_path, "requirements.txt")


def test_requirements_that_are_not_text_are_reported(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("numpy".encode("utf-16"))
    with pytest.raises(
        EnvironmentFailure, match=r"^requirements\.txt is not UTF-8 text: .*; save it as UTF-8$"
    ):
        find_dependencies(tmp_path, None)


def test_constraints_are_no_requirements_with_hashes(tmp_path: Path) -> None:
    write(
        tmp_path,
        requirements_txt="-c pins.txt\n-r more.txt\nnumpy==1 --hash=sha256:aa\n",
        more_txt="--require-hashes\nscipy==2 \\\n  --hash=sha256:bb\n",
        pins_txt="pandas==2",
    )
    found = find_dependencies(tmp_path, None)
    assert [line.split("==")[0] for line in found.hashed] == ["numpy", "scipy"]


def test_options_of_indexes_are_found_in_all_files(tmp_path: Path) -> None:
    write(
        tmp_path,
        requirements_txt="--extra-index-url https://example.com/simple\n-r sub/more.txt\n",
        sub__more_txt="--find-links ./wheels\n-f https://example.com/links\n--no-binary x\n--pre\n",
    )
    (tmp_path / "sub" / "wheels").mkdir()
    assert find_dependencies(tmp_path, None).options == (
        "--extra-index-url https://example.com/simple",
        "--find-links sub/wheels",
        "-f https://example.com/links",
        "--no-binary x",
    )


def test_versions_of_python_apply_to_every_file_of_requirements(tmp_path: Path) -> None:
    write(tmp_path, requirements_txt="numpy", pyproject_toml='[project]\nrequires-python = ">=3.12"\n')
    [found] = find_dependencies(tmp_path, None).pythons
    assert (found.specifier, found.source) == (">=3.12", "requires-python of pyproject.toml")
