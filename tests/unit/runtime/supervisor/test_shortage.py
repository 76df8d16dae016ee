"""The reason and the text of a start that the system refuses: the same from every part of the platform."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gyrus.contract.replica import Reason
from gyrus.contract.system_limits import OUT_OF_FILES, OUT_OF_MEMORY, OUT_OF_PROCESSES
from gyrus.runtime.supervisor.shortage import reason_of, refusal
from gyrus.runtime.supervisor.working_folder import CannotStart, WorkingFolder

LIMITS = {errno.EAGAIN: OUT_OF_PROCESSES, errno.EMFILE: OUT_OF_FILES, errno.ENOMEM: OUT_OF_MEMORY}


@pytest.mark.parametrize(("number", "text"), LIMITS.items())
def test_a_limit_is_resource_exhausted_with_its_remedy(number: int, text: str) -> None:
    failure = refusal(OSError(number, "refused"))
    assert failure.reason is Reason.EXHAUSTED
    assert failure.message.startswith("it could not be started: ")
    assert failure.message.endswith(text)


def test_a_thread_that_cannot_start_is_a_limit_too() -> None:
    assert reason_of(RuntimeError("can't start new thread")) is Reason.EXHAUSTED


def test_other_errors_are_no_limit() -> None:
    failure = refusal(OSError(errno.EPERM, "not permitted"))
    assert (failure.reason, failure.message) == (
        Reason.EXITED,
        "it could not be started: [Errno 1] not permitted",
    )


def test_a_working_folder_names_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(project: str, own: str) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("gyrus.runtime.supervisor.workspace.create", refused)
    with pytest.raises(CannotStart, match="could not be written") as failed:
        WorkingFolder(str(tmp_path), str(tmp_path / "0")).enter()
    assert failed.value.verdict.reason is Reason.EXHAUSTED
    assert str(failed.value).endswith(f"Too many open files: {OUT_OF_FILES}")
