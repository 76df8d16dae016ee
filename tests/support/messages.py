"""Messages that a command or the gateway is expected to print when something fails."""

from __future__ import annotations

import re

from gyrus.contract.problem import MEDIA_TYPE, ProblemType
from support.platform import Reply


def block(reported: str) -> str:
    """The error at the end of what a command wrote to stderr. Carets below a traceback's lines, which differ
    by Python's version, are left out."""
    lines = reported[reported.index("error: ") :].splitlines(keepends=True)
    return "".join(line for line in lines if not re.fullmatch(r"\s*[~^]+\n", line))


def faults(*lines: str) -> str:
    number = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
    return f"error: The specification has {number}.\n\n" + "".join(f"  {line}\n" for line in lines)


def failed_rollout(name: str, cause: str, *lines: str, serving: int | None = None) -> str:
    """Of a revision that did not become ready. ``cause``: ``(Reason): message``."""
    revision = 1 if serving is None else serving + 1
    details = "\n" + "".join(f"  {line}\n" for line in lines) + "\n" if lines else ""
    serves = f"No revision serves {name}." if serving is None else f"Revision {serving} serves {name}."
    return (
        f"error: The rollout of {name} failed. Revision {revision} did not become ready {cause}.\n"
        f"{details}  {serves} See: gyrus describe {name}, gyrus logs {name}\n"
    )


def is_problem(reply: Reply, kind: ProblemType, detail: str, **more: object) -> bool:
    """Asserts that the reply is exactly this problem document."""
    assert (reply.status, reply.headers["content-type"]) == (kind.status, MEDIA_TYPE)
    assert reply.json == {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": f"urn:gyrus:request:{reply.headers['x-request-id']}",
        **more,
    }
    return True
