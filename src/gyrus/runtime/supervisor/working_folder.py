"""The working folder that a process enters at its start."""

from __future__ import annotations

import os
from dataclasses import dataclass

from gyrus.contract.replica import Reason, ReplicaConfig
from gyrus.contract.system_limits import exhausted
from gyrus.runtime.supervisor import shortage, workspace
from gyrus.runtime.supervisor.process_state import Failure


class CannotStart(Exception):
    """The process cannot be started. The message is for the user."""

    def __init__(self, verdict: Failure) -> None:
        super().__init__(verdict.message)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class WorkingFolder:
    project: str
    """Folder with the user's files."""
    own: str | None
    """The process's own folder, created at each start; None: the process works in the project itself."""

    @classmethod
    def of(cls, config: ReplicaConfig, index: int) -> WorkingFolder:
        own = config.working_folder(index) if config.work_dir else None
        return cls(config.project, own)

    def enter(self) -> None:
        """Create the folder and make it the current one. Raises CannotStart."""
        try:
            if self.own:
                workspace.create(self.project, self.own)
            os.chdir(self.own or self.project)
        except workspace.PackageChanged as error:
            message = f"{error}; stop what writes to it, and deploy the project again"
            raise CannotStart(Failure(Reason.PACKAGE, message)) from error
        except OSError as error:
            raise CannotStart(self._why(error)) from error

    def enter_copy_of(self, folder: str) -> None:
        """Create the own folder from another process's, and make it the current one. Raises CannotStart."""
        assert self.own
        try:
            workspace.fork(folder, self.own)
            os.chdir(self.own)
        except OSError as error:
            raise CannotStart(self._why(error)) from error

    def _why(self, error: OSError) -> Failure:
        if not os.path.isdir(self.project):
            return Failure(Reason.PACKAGE, f"the project folder {self.project} is missing; deploy it again")
        if not self.own:
            why = f"the project folder {self.project} cannot be opened: {error.strerror}; deploy again"
            return Failure(Reason.PACKAGE, why)
        return Failure(shortage.reason_of(error), unwritable(self.own, error))


def unwritable(folder: str, error: OSError) -> str:
    """Explain that a working folder could not be written: a clause with the remedy."""
    message = f"the working folder {folder} could not be written: {error.strerror or error}"
    remedy = exhausted(error)
    return f"{message}: {remedy}" if remedy else message
