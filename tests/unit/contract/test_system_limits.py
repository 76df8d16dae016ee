"""The remedy where the system has no more processes."""

from __future__ import annotations

import errno

import pytest

from gyrus.contract.system_limits import OUT_OF_FILES, OUT_OF_PROCESSES, explain


@pytest.mark.parametrize(
    "error", [BlockingIOError(errno.EAGAIN, "try again"), RuntimeError("can't start new thread")]
)
def test_the_limit_is_named(error: Exception) -> None:
    assert explain(error) == f"{error}: {OUT_OF_PROCESSES}"


def test_the_limit_of_files_is_named() -> None:
    assert explain(OSError(errno.EMFILE, "too many")).endswith(OUT_OF_FILES)


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "no memory"), RuntimeError("no"), ValueError("no")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert explain(error) == str(error)
