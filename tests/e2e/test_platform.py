"""The platform as a whole: up, down, up again, and where its files are."""

from __future__ import annotations

from pathlib import Path

from gyrus.contract.home import Home
from support.platform import Platform, free_ports
from support.project import ECHO_REVISION, Project, handler_api


def deploy_echo(platform: Platform, folder: Path) -> None:
    api = handler_api("echo", config={"version": 1})
    platform.gyrus("deploy", Project(folder).write(api, handler=ECHO_REVISION), "--yes")


def test_down_keeps_what_is_deployed_and_the_next_up_brings_it_back(
    platform: Platform, tmp_path: Path
) -> None:
    deploy_echo(platform, tmp_path / "echo")
    platform.gyrus("down")
    assert platform.remains() == []
    platform.up()
    platform.gyrus("refresh", "echo")
    assert platform.ask("echo", {}).json == {"version": 1}
    assert platform.json("get", "echo")["revision"] == 1


def test_a_home_with_a_long_path_leaves_nothing_outside_it(tmp_path: Path) -> None:
    root = tmp_path / ("long-" * 20)
    gateway_port, operator_port = free_ports(2)
    platform = Platform(Home(root), gateway_port, operator_port)
    assert root not in platform.home.run.parents
    try:
        platform.up()
        deploy_echo(platform, tmp_path / "echo")
        assert platform.ask("echo", {}).json == {"version": 1}
    finally:
        platform.gyrus("down")
    assert platform.remains() == []
