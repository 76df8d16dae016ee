"""The remedy where the system has run out of something."""

from __future__ import annotations

import errno

import pytest

from gyrus.contract.system_limits import OUT_OF_FILES, OUT_OF_PROCESSES, exhausted, explain


@pytest.mark.parametrize(
    "error", [BlockingIOError(errno.EAGAIN, "try again"), RuntimeError("can't start new thread")]
)
def test_the_limit_is_named(error: Exception) -> None:
    assert explain(error) == f"{error}: {OUT_OF_PROCESSES}"


def test_the_limit_of_files_is_named() -> None:
    assert explain(OSError(errno.EMFILE, "too many")).endswith(OUT_OF_FILES)


@pytest.mark.parametrize("error", [OSError(errno.EPERM, "no"), RuntimeError("no"), ValueError("no")])
def test_other_errors_stay_as_they_are(error: Exception) -> None:
    assert explain(error) == str(error)
    assert exhausted(error) is None


@pytest.mark.parametrize("number", [errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT])
def test_all_other_limits_have_a_remedy(number: int) -> None:
    remedy = exhausted(OSError(number, "no"))
    assert remedy is not None
    assert ";" in remedy, "a cause and a remedy"
