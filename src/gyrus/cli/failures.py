"""Errors as the user sees them: one block with what, why and what to do, and an exit code.

CommandFailure   raised by commands
├── WrongInput   the user's input is wrong: exit code 2
└── Interrupted  Ctrl-C, with an explanation: exit code 130
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gyrus.cli.output import indented, print_note
from gyrus.cli.session import CliSession
from gyrus.cli.streams import OutputLost, report_lost
from gyrus.cli.suggestions import nearest
from gyrus.contract.visible import escaped, escaped_lines

if TYPE_CHECKING:
    from gyrus.client.errors import OperatorUnreachable, RolloutFailed
    from gyrus.spec.faults import SpecError, SpecFault

INTERRUPTED = 130


class CommandFailure(Exception):
    """A failed command.

    ``message`` states what failed and why, ``details`` are lines to show unchanged, ``remedy`` states what to
    do.
    """

    code = 1

    def __init__(self, message: str, *, details: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.remedy = remedy


class WrongInput(CommandFailure):
    code = 2


class Interrupted(CommandFailure):
    code = INTERRUPTED


@contextmanager
def ended_by_ctrl_c() -> Generator[None]:
    """Wrap work that runs until Ctrl-C: there it is the normal end and needs no message."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None


def report(fault: BaseException, session: CliSession, arguments: Sequence[str] = ()) -> int:
    """Show a failure on stderr and return the exit code."""
    if isinstance(fault, click.exceptions.Exit):
        return fault.exit_code
    if isinstance(fault, OutputLost):
        return report_lost(fault)
    if isinstance(fault, UnicodeError) and (wrong := _undecodable(arguments)):
        fault = wrong
    if os.environ.get("GYRUS_DEBUG"):
        traceback.print_exception(fault)
    failure = _failure(fault, session)
    show(failure)
    return failure.code


def _failure(fault: BaseException, session: CliSession) -> CommandFailure:
    if isinstance(fault, CommandFailure):
        return fault
    if isinstance(fault, (KeyboardInterrupt, click.Abort)):
        return Interrupted("Interrupted.")
    if isinstance(fault, click.UsageError):
        return _usage(fault)
    if isinstance(fault, click.ClickException):
        return WrongInput(fault.format_message())
    return _client_failure(fault, session) or _project_failure(fault) or _bug(fault)


def _usage(fault: click.UsageError) -> CommandFailure:
    command = fault.ctx.command_path if fault.ctx else "gyrus"
    return WrongInput(fault.format_message(), remedy=f"See: {command} --help")


def _client_failure(fault: BaseException, session: CliSession) -> CommandFailure | None:
    from gyrus.client import errors

    if not isinstance(fault, errors.ClientError):
        return None
    if isinstance(fault, errors.UnknownApi):
        return CommandFailure(fault.message + _nearest_api(fault.name, session))
    if isinstance(fault, errors.UnknownEnvironment):
        return WrongInput(fault.message + nearest(fault.name, fault.known), remedy=fault.remedy)
    if isinstance(fault, errors.OperatorUnreachable):
        return unreachable(fault, session)
    if isinstance(fault, errors.Invalid):
        return WrongInput(fault.problem.title + ".", details=fault.message)
    if isinstance(fault, errors.RolloutFailed):
        return rollout_failure(fault)
    return CommandFailure(fault.message, remedy=fault.remedy)


def unreachable(fault: OperatorUnreachable, session: CliSession) -> CommandFailure:
    """Describe an operator that does not answer; of this machine's, also what still runs."""
    from gyrus.client.environments import LOCAL

    if session.chosen() != LOCAL:
        return CommandFailure(fault.message, remedy=fault.remedy)
    from gyrus.cli.silence import explained

    return explained(session.home, fault)


def _nearest_api(name: str, session: CliSession) -> str:
    from gyrus.client.errors import ClientError

    try:
        return nearest(name, (api.name for api in session.client().apis()))
    except ClientError:
        return ""


def rollout_failure(fault: RolloutFailed) -> CommandFailure:
    """Describe a failed rollout, with the replica's last lines and the revision that serves now."""
    from gyrus.client.errors import RolloutSuperseded

    if isinstance(fault, RolloutSuperseded):
        return CommandFailure(fault.message, remedy="See the APIs: gyrus get")
    cause = f"{fault.remedy}\n" if fault.remedy else ""
    if fault.serving is None:
        serves = f"No revision serves {fault.name}."
    else:
        serves = f"Revision {fault.serving} serves {fault.name}."
    more = f"See: gyrus describe {fault.name}, gyrus logs {fault.name}"
    return CommandFailure(
        fault.message, details="\n".join(fault.last_lines), remedy=f"{cause}{serves} {more}"
    )


def _project_failure(fault: BaseException) -> CommandFailure | None:
    """Faults in the user's files."""
    from gyrus.packaging.errors import FolderRefused, PackagingError
    from gyrus.spec.faults import SpecError

    if isinstance(fault, SpecError):
        return specification_failure(fault, "The specification")
    if isinstance(fault, FolderRefused):
        return WrongInput(str(fault))
    return CommandFailure(str(fault)) if isinstance(fault, PackagingError) else None


def specification_failure(error: SpecError, what: str) -> WrongInput:
    """Describe the faults of a specification, or why there is none."""
    from gyrus.spec.faults import NoSpecification

    if isinstance(error, NoSpecification):
        [fault] = error.faults
        return WrongInput(_sentence(fault.message), remedy=_sentence(fault.remedy))
    count = "1 fault" if len(error.faults) == 1 else f"{len(error.faults)} faults"
    return WrongInput(f"{what} has {count}.", details=str(error))


def fault_document(fault: SpecFault) -> dict[str, object]:
    """Return a fault of a specification as ``-o json`` prints it."""
    return {
        "file": fault.file, "line": fault.line, "column": fault.column, "field": fault.field,
        "message": fault.message, "remedy": fault.remedy,
    }  # fmt: skip


def _sentence(clause: str) -> str:
    begun = clause[:1].upper() + clause[1:]
    return begun if begun.endswith("?") or ": gyrus " in begun else f"{begun}."


def _bug(fault: BaseException) -> CommandFailure:
    what = traceback.format_exception_only(fault)[-1].strip()
    place = _write_details(fault)
    where = f"The details are in {place}." if place else "Set GYRUS_DEBUG=1 to print the details."
    return CommandFailure(f"gyrus has a bug: {what}", remedy=f"{where} Please report the bug with them.")


def _write_details(fault: BaseException) -> Path | None:
    from gyrus.contract.home import Home

    file = Home.default().root / "logs" / "command-line.log"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8", errors="backslashreplace") as out:
            out.write(f"gyrus {' '.join(sys.argv[1:])}\n{''.join(traceback.format_exception(fault))}\n")
    except OSError:
        return None
    return file


def show(failure: CommandFailure) -> None:
    """Show a failure as one block on stderr."""
    mark = "" if isinstance(failure, Interrupted) else click.style("error: ", fg="red", bold=True)
    print_note(mark + escaped_lines(failure.message))
    if failure.details:
        print_note()
        print_note(indented(escaped_lines(failure.details)))
    if failure.details and failure.remedy:
        print_note()
    if failure.remedy:
        print_note(indented(escaped_lines(failure.remedy)))


def _undecodable(arguments: Sequence[str]) -> WrongInput | None:
    """Return the failure for an argument whose bytes are not text. Returns None if all are."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            return WrongInput(f"The argument {escaped(argument)} is not UTF-8 text.")
    return None
