"""ClientError
├── UnknownEnvironment       no operator is known by that name
├── BadEnvironments          the file of known operators cannot be used
├── OperatorUnreachable      nobody answers where the operator should be
├── EndpointUnreachable      nobody answers where the API should be
├── UnexpectedAnswer         something answers that does not speak this version's language
├── Refused                  the operator said no; has the problem document
│   ├── Unauthorized         the token is missing or wrong
│   ├── UnknownApi           no API of that name
│   ├── NotFound             another thing that is not there (a revision)
│   ├── Conflict             the API's state does not allow it now
│   ├── Invalid              what was sent cannot be used as it is
│   └── OperatorFailed       its fault, not yours: a full disk, a bug
├── RolloutFailed            the new revision did not come live
│   └── RolloutSuperseded    a newer deploy, rollback, refresh or delete took its place
├── StillWaiting             the time is up, and the rollout goes on
└── PredictionFailed         the API answered with an error
"""

from __future__ import annotations

from gyrus.contract.problem import Problem


class ClientError(Exception):
    """Base of everything that a client raises. ``remedy`` says what to do, where that is known."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".rstrip()


class UnknownEnvironment(ClientError):
    def __init__(self, name: str, known: tuple[str, ...], remedy: str) -> None:
        super().__init__(f"There is no environment named {name!r}.", remedy=remedy)
        self.name = name
        self.known = known


class BadEnvironments(ClientError):
    pass


class OperatorUnreachable(ClientError):
    pass


class EndpointUnreachable(ClientError):
    pass


class UnexpectedAnswer(ClientError):
    pass


class Refused(ClientError):
    def __init__(self, problem: Problem, message: str = "", *, remedy: str = "") -> None:
        super().__init__(message or problem.detail or problem.title, remedy=remedy)
        self.problem = problem


class Unauthorized(Refused):
    pass


class UnknownApi(Refused):
    def __init__(self, problem: Problem, name: str) -> None:
        super().__init__(problem)
        self.name = name


class NotFound(Refused):
    pass


class Conflict(Refused):
    pass


class Invalid(Refused):
    pass


class OperatorFailed(Refused):
    pass


class RolloutFailed(ClientError):
    """``reason`` is a sentence; ``last_lines`` are the last that the failing replica printed."""

    def __init__(self, name: str, reason: str, last_lines: tuple[str, ...], serving: int | None) -> None:
        super().__init__(f"The rollout of {name} failed. {reason}")
        self.name = name
        self.reason = reason
        self.last_lines = last_lines
        self.serving = serving
        """The revision that answers requests now, if there is one."""


class RolloutSuperseded(RolloutFailed):
    pass


class StillWaiting(ClientError):
    def __init__(self, names: tuple[str, ...], seconds: float) -> None:
        waiting = ", ".join(names)
        super().__init__(
            f"After {seconds:g} s the rollout of {waiting} has not ended. It goes on.",
            remedy=f"Watch it with: gyrus describe {names[0]}",
        )
        self.names = names


class PredictionFailed(ClientError):
    def __init__(self, message: str, *, status: int, problem: Problem | None, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem
        self.body = body
