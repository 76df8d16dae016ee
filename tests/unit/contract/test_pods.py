from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from gyrus.contract.pods import (
    LONGEST_TERMINATION_LOG,
    EnvironmentIdentity,
    PodFailure,
    builder_name,
    builds,
    serve_command,
)
from gyrus.contract.replica import Reason

IDENTITY = EnvironmentIdentity(package="p", requirements=None, image="localhost/gyrus-runtime:1", runtime="r")


def test_everything_that_decides_an_environment_changes_its_key() -> None:
    others = [
        replace(IDENTITY, package="q"),
        replace(IDENTITY, package=None),
        replace(IDENTITY, requirements="other.txt"),
        replace(IDENTITY, image="localhost/gyrus-runtime:2"),
        replace(IDENTITY, runtime="s"),
    ]
    assert len({identity.key for identity in (IDENTITY, *others)}) == 6
    assert replace(IDENTITY).key == IDENTITY.key
    assert len(IDENTITY.key) == 32


def test_a_builders_name_fits_a_label_with_an_attempt() -> None:
    assert len(f"{builder_name(IDENTITY.key)}-999") <= 63
    assert builds(f"{builder_name(IDENTITY.key)}-2", IDENTITY.key)
    assert not builds(builder_name("0" * 32), IDENTITY.key)
    assert not builds("iris-1-abcde", IDENTITY.key)


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
