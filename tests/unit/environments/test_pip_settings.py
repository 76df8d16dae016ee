"""Pip's settings as passed to uv, compared with pip itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gyrus.environments.pip_settings import (
    PipSettings,
    config_files,
    read_pip_settings,
    uv_arguments,
    uv_environment,
)


def conf(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_nothing_configured_is_nothing_passed() -> None:
    settings = read_pip_settings({}, [])
    assert settings == PipSettings()
    assert uv_arguments(settings, {}) == ()
    assert uv_environment(settings, {}) == {}


def test_later_files_win_install_wins_over_global_and_variables_over_all(tmp_path: Path) -> None:
    first = conf(tmp_path / "a.conf", "[install]\nindex-url = https://a/\n[global]\nfind-links = /a\n")
    second = conf(tmp_path / "b.conf", "[global]\nindex-url = https://b/\nfind_links = /b1\n  /b2\n")
    both = read_pip_settings({}, [first, second])
    assert both.index_url == "https://a/"
    assert both.find_links == ("/b1", "/b2")
    reported = read_pip_settings(
        {"PIP_INDEX_URL": "https://c/", "PIP_FIND_LINKS": "/c1 '/c 2'"}, [first, second]
    )
    assert reported.index_url == "https://c/"
    assert reported.find_links == ("/c1", "/c 2")


def test_uv_gets_all_of_it() -> None:
    settings = PipSettings(
        index_url="https://i/",
        extra_index_urls=("https://e1/", "https://e2/"),
        find_links=("/w",),
        trusted_hosts=("h",),
        constraints=("/c.txt",),
        pre=True,
        cert="/cert",
        client_cert="/mine",
        proxy="http://p",
        timeout="99",
    )
    assert uv_arguments(settings, {}) == (
        *("--index-strategy", "unsafe-best-match"),
        *("--find-links", "/w"),
        *("--constraints", "/c.txt"),
        *("--allow-insecure-host", "h"),
        *("--prerelease", "allow"),
    )
    assert uv_environment(settings, {}) == {
        "UV_DEFAULT_INDEX": "https://i/",
        "UV_INDEX": "https://e1/ https://e2/",
        "SSL_CERT_FILE": "/cert",
        "SSL_CLIENT_CERT": "/mine",
        "ALL_PROXY": "http://p",
        "UV_HTTP_TIMEOUT": "99",
    }
    assert uv_arguments(PipSettings(no_index=True), {}) == ("--no-index",)


def test_settings_of_uv_itself_win() -> None:
    settings = PipSettings(
        index_url="https://i/",
        extra_index_urls=("https://e/",),
        find_links=("/w",),
        cert="/cert",
        timeout="9",
    )
    own = {
        "UV_INDEX_URL": "x",
        "UV_INDEX": "y",
        "UV_FIND_LINKS": "z",
        "SSL_CERT_FILE": "c",
        "UV_HTTP_TIMEOUT": "1",
    }
    assert uv_arguments(settings, own) == ()
    assert uv_environment(settings, own) == {}


def test_a_file_that_cannot_be_read_sets_nothing(tmp_path: Path) -> None:
    broken = conf(tmp_path / "broken.conf", "index-url without a section\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert read_pip_settings({}, [broken, folder, tmp_path / "absent"]) == PipSettings()


def test_on_a_mac_the_files_are_elsewhere(tmp_path: Path) -> None:
    library = tmp_path / "Library/Application Support/pip"
    library.mkdir(parents=True)
    files = config_files({"HOME": str(tmp_path)}, "/prefix", "darwin")
    assert files[0] == Path("/Library/Application Support/pip/pip.conf")
    assert library / "pip.conf" in files


def test_pip_can_be_configured_to_read_no_files() -> None:
    assert config_files({"PIP_CONFIG_FILE": os.devnull}) == []


PIP_OUTPUT = """
import json, sys
from pip._internal.configuration import get_configuration_files, kinds
files = get_configuration_files()
print(json.dumps([f for kind in (kinds.GLOBAL, kinds.USER, kinds.SITE) for f in files[kind]]))
"""


def _base_python() -> str:
    """An interpreter that has pip."""
    return os.path.realpath(sys.executable)


@pytest.mark.processes
@pytest.mark.skipif(
    subprocess.run([_base_python(), "-c", "import pip"], capture_output=True).returncode != 0,
    reason="the base interpreter has no pip to compare with",
)
def test_the_files_are_those_that_pip_reads(tmp_path: Path) -> None:
    environ = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "XDG_CONFIG_DIRS": f"{tmp_path}/x:{tmp_path}/y",
    }
    done = subprocess.run(
        [_base_python(), "-I", "-c", PIP_OUTPUT], env=environ, capture_output=True, text=True, check=True
    )
    prefix = subprocess.run(
        [_base_python(), "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert [str(file) for file in config_files(environ, prefix)] == json.loads(done.stdout)
