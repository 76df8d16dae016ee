"""Every reason and problem is in the troubleshooting guide, with status and remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gyrus.contract import problem
from gyrus.contract.problem import ProblemType
from gyrus.contract.replica import Reason

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "troubleshooting.md"
PROBLEMS = [value for value in vars(problem).values() if isinstance(value, ProblemType)]
ROW = re.compile(r"^\| (?P<names>`.+?`) \| (?P<rest>.+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def rows() -> dict[str, list[list[str]]]:
    """The cells beside each name that a table explains; a name may be in several tables."""
    found: dict[str, list[list[str]]] = {}
    for match in ROW.finditer(GUIDE.read_text("utf-8")):
        for name in re.findall(r"`([^`]+)`", match["names"]):
            found.setdefault(name, []).append(match["rest"].split(" | "))
    return found


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_cause_and_a_remedy(reason: Reason, rows: dict[str, list[list[str]]]) -> None:
    assert [len(cells) for cells in rows[reason]] == [2]


@pytest.mark.parametrize("kind", PROBLEMS, ids=lambda kind: kind.slug)
def test_every_problem_has_its_status_a_cause_and_a_remedy(
    kind: ProblemType, rows: dict[str, list[list[str]]]
) -> None:
    assert all(cells[0] == str(kind.status) and len(cells) == 3 for cells in rows[kind.slug])
