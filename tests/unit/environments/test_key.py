"""Equal inputs share a resolution and an environment, others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gyrus.environments.key import EnvironmentInputs, ResolutionInputs
from gyrus.environments.lock import Lock
from gyrus.environments.pip_settings import PipSettings

RESOLUTION = ResolutionInputs(
    dependencies=("numpy",),
    project=None,
    runtime_requirements=("orjson",),
    python="CPython 3.11",
    platform="linux",
    pip=PipSettings(index_url="https://me:secret@example.com/simple"),
)
LOCK = Lock(project="numpy==1", runtime="orjson==3", runtime_requirements=("orjson",))
ENVIRONMENT = EnvironmentInputs(lock=LOCK, project=None, runtime="r1", python="3.11.7", platform="linux")


def test_keys_are_stable() -> None:
    assert RESOLUTION.key == replace(RESOLUTION).key
    assert ENVIRONMENT.key == replace(ENVIRONMENT).key
    assert len(RESOLUTION.key) == len(ENVIRONMENT.key) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": ("scipy",)},
        {"project": "d1"},
        {"runtime_requirements": ("orjson>3",)},
        {"python": "CPython 3.12"},
        {"platform": "mac"},
        {"pip": PipSettings()},
        {"pip": PipSettings(index_url="https://me:secret@example.com/other")},
    ],
    ids=str,
)
def test_everything_that_decides_a_lock_is_in_its_key(change: dict[str, object]) -> None:
    other = replace(RESOLUTION, **change)  # pyright: ignore[reportArgumentType] (a test's shorthand)
    assert other.key != RESOLUTION.key


@pytest.mark.parametrize(
    "change",
    [
        {"lock": replace(LOCK, project="numpy==2")},
        {"lock": replace(LOCK, runtime="orjson==4")},
        {"project": "d1"},
        {"runtime": "r2"},
        {"python": "3.11.8"},
        {"platform": "mac"},
    ],
    ids=str,
)
def test_everything_that_decides_the_content_is_in_the_key(change: dict[str, object]) -> None:
    other = replace(ENVIRONMENT, **change)  # pyright: ignore[reportArgumentType] (a test's shorthand)
    assert other.key != ENVIRONMENT.key


def test_passwords_and_certificates_are_not() -> None:
    other = PipSettings(index_url="https://you:other@example.com/simple", cert="/c", timeout="5")
    assert replace(RESOLUTION, pip=other).key == RESOLUTION.key
