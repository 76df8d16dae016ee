from __future__ import annotations

import json

from hypothesis import example, given
from hypothesis import strategies as st

from gyrus.contract.pods import (
    LONGEST_TERMINATION_LOG,
    PodFailure,
    builder_name,
    builds,
    serve_command,
)
from gyrus.contract.replica import Reason

KEY = "7" * 32


def test_a_builders_name_fits_a_label_with_an_attempt() -> None:
    assert len(f"{builder_name(KEY)}-999") <= 63
    assert builds(f"{builder_name(KEY)}-2", KEY)
    assert not builds(builder_name("0" * 32), KEY)
    assert not builds("iris-1-abcde", KEY)


def test_the_supervisor_runs_in_the_environment() -> None:
    assert serve_command("k") == (
        "/gyrus/environments/k/bin/python",
        "-I",
        "-m",
        "gyrus.runtime.supervisor",
        "/gyrus/run/config.json",
    )


@example("\N{SNOWMAN}" * 3000, ["line"])
@given(st.text(max_size=3000), st.lists(st.text(max_size=500), max_size=30))
def test_a_failure_keeps_its_message_and_last_lines_within_the_limit(message: str, lines: list[str]) -> None:
    failure = PodFailure(reason=Reason.DEPENDENCIES, message=message, lines=tuple(lines))
    shortened = failure.shortened()
    document = json.loads(shortened)
    assert len(shortened) <= LONGEST_TERMINATION_LOG
    assert message.startswith(document["message"])
    assert document["lines"] == lines[len(lines) - len(document["lines"]) :]
