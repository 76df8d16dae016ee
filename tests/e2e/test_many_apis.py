"""Fifty APIs at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.platform import Platform, platform_of_its_own
from support.project import ECHO_REVISION, Project, handler_api

COUNT = 50


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_fifty_apis_come_live_and_leave_nothing(tmp_path: Path) -> None:
    """They ask for ten cores, and need hardly any."""
    with platform_of_its_own(options=("--overcommit",)) as platform:
        _come_live_and_leave_nothing(platform, tmp_path)


def _come_live_and_leave_nothing(platform: Platform, tmp_path: Path) -> None:
    apis = [handler_api(f"api-{n}", config={"version": n}) for n in range(COUNT)]
    folder = Project(tmp_path / "many").write(*apis, handler=ECHO_REVISION)
    platform.gyrus("deploy", folder, "--yes", "--timeout", "300")
    listed = platform.json("get")
    assert {api["name"] for api in listed} == {api["name"] for api in apis}
    assert {api["status"] for api in listed} == {"live"}
    assert [platform.ask(f"api-{n}", {}).json["version"] for n in range(COUNT)] == [*range(COUNT)]
    platform.gyrus("delete", *(api["name"] for api in apis), "--yes")
    assert platform.json("get") == []
    names = [" ".join(process.cmdline()) for process in platform.processes()]
    assert not [name for name in names if "gyrus.runtime" in name]
    assert not list(platform.home.replicas.iterdir())
    assert platform.ask("api-0", {}).status == 404
