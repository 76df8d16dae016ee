"""Equal recipes share an environment, others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.environments.key import EnvironmentInputs, key_of
from gyrus.environments.pip_settings import PipSettings

RECIPE = EnvironmentInputs(
    dependencies=("numpy",),
    project=None,
    runtime="r1",
    runtime_requirements=("orjson",),
    python="3.11",
    platform="linux",
    pip=PipSettings(index_url="https://me:secret@example.com/simple"),
)


def test_the_key_is_stable() -> None:
    assert key_of(RECIPE) == key_of(replace(RECIPE))
    assert len(key_of(RECIPE)) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": ("scipy",)},
        {"project": "d1"},
        {"runtime": "r2"},
        {"runtime_requirements": ("orjson>3",)},
        {"python": "3.12"},
        {"platform": "mac"},
        {"pip": PipSettings()},
        {"pip": PipSettings(index_url="https://me:secret@example.com/other")},
    ],
    ids=str,
)
def test_everything_that_decides_the_content_is_in_the_key(change: dict[str, object]) -> None:
    other = replace(RECIPE, **change)  # pyright: ignore[reportArgumentType] (a test's shorthand)
    assert key_of(other) != key_of(RECIPE)


def test_passwords_and_certificates_are_not() -> None:
    other = PipSettings(index_url="https://you:other@example.com/simple", cert="/c", timeout="5")
    assert key_of(replace(RECIPE, pip=other)) == key_of(RECIPE)
