"""The reasons why packages cannot be chosen."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gyrus.environments.dependencies import find_dependencies
from gyrus.environments.errors import EnvironmentFailure
from gyrus.environments.interpreters import own_interpreter
from gyrus.environments.pip_settings import PipSettings
from gyrus.environments.resolver import Resolver

pytestmark = pytest.mark.processes


async def test_failure_names_the_restriction_for_which_another_python_was_chosen(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("gyrus-no-such-package\n")
    other = replace(own_interpreter(), required_by="pyproject.toml requires Python >=3.13")
    settings = PipSettings(no_index=True)
    resolver = Resolver(pip=settings, environ=os.environ, interpreter=other)
    with pytest.raises(EnvironmentFailure, match=r"installing requirements\.txt for CPython .* failed") as no:
        await resolver.resolve(find_dependencies(tmp_path, None), tmp_path)
    assert "(pyproject.toml requires Python >=3.13)" in str(no.value)
