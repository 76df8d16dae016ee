"""The errors of a client.

ClientError
├── UnknownEnvironment       no operator has that name
├── BadEnvironments          the file of known operators cannot be used
├── OperatorUnreachable      the operator does not answer
├── EndpointUnreachable      the API does not answer
├── UnprovenOperator         the listener did not prove that it is the operator; it got nothing
├── UnexpectedAnswer         the answer does not come from an operator of this version
├── Refused                  the operator refused the request; has the problem document
│   ├── Unauthorized         the token is missing, wrong or revoked
│   ├── ReadOnlyToken        the token may only read
│   ├── UnknownApi           no API of that name
│   ├── NotFound             another thing does not exist (a revision)
│   ├── Conflict             the API's state does not allow it now
│   ├── Invalid              the request's content is not valid
│   └── OperatorFailed       the operator's fault, not yours: a full disk, a bug
├── RolloutFailed            the new revision did not become live
│   └── RolloutSuperseded    a newer deploy, rollback, refresh or delete replaced the rollout
├── StillWaiting             the time is up, and the rollout continues
└── PredictionFailed         the API answered with an error
"""

from __future__ import annotations

from gyrus.contract.problem import Problem


class ClientError(Exception):
    """Base of all errors of a client. ``remedy`` states what to do; it may be empty."""

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


class UnprovenOperator(ClientError):
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


class ReadOnlyToken(Refused):
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
    """A failed rollout: ``reason`` is a sentence, ``last_lines`` end the failing replica's output."""

    def __init__(self, name: str, reason: str, last_lines: tuple[str, ...], serving: int | None) -> None:
        super().__init__(f"The rollout of {name} failed. {reason}")
        self.name = name
        self.reason = reason
        self.last_lines = last_lines
        self.serving = serving
        """The revision that serves now; None if there is none."""


class RolloutSuperseded(RolloutFailed):
    pass


class StillWaiting(ClientError):
    def __init__(self, names: tuple[str, ...], seconds: float) -> None:
        waiting = ", ".join(names)
        super().__init__(
            f"After {seconds:g} s the rollout of {waiting} has not ended. It continues.",
            remedy=f"Watch it with: gyrus describe {names[0]}",
        )
        self.names = names


class PredictionFailed(ClientError):
    def __init__(self, message: str, *, status: int, problem: Problem | None, body: bytes) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem
        self.body = body
