"""The home of a process, by its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.cli.local import PlatformSettings, command
from gyrus.contract.home import Home


def test_an_operator_names_its_home() -> None:
    home = Home(Path("/somewhere/else"))
    assert Home.of_command(command(home, PlatformSettings())) == home


@pytest.mark.parametrize(
    "words",
    [
        ("nginx",),
        ("envoy", "--config-path", "/etc/envoy.yaml"),
        ("envoy", "--config-path"),
        ("python", "-m", "gyrus.operator"),
        ("borg", "--home", "/a"),
        (),
    ],
)
def test_others_have_none(words: tuple[str, ...]) -> None:
    assert Home.of_command(words) is None
