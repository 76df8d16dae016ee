"""Numbers and words of YAML 1.2, and what not all versions of YAML read alike."""

from __future__ import annotations

from typing import Any

import pytest

from gyrus.spec.faults import SpecError
from gyrus.spec.load import check, loads
from gyrus.spec.realtime import RealtimeSpec

HEAD = "name: a\nhandler:\n  path: handler.py\n"


def config(value: str) -> Any:
    [spec] = loads(f"{HEAD}  config:\n    x: {value}\n", "gyrus.yaml")
    assert isinstance(spec, RealtimeSpec)
    assert spec.handler
    return spec.handler.config["x"]


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        loads(text, "gyrus.yaml")
    return [str(fault) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), ("1e3", 1000.0), ("1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0),
        ("+12", 12), ("-0", 0), ("0o17", 15), ("0x1F", 31), ("true", True), ("False", False), ("~", None),
        ("12:30", "12:30"), ("1:30:00", "1:30:00"), ("2026-01-31", "2026-01-31"), ("1,000", "1,000"),
        ("1.2.3", "1.2.3"), ("e3", "e3"), ("!!str 1e-3", "1e-3"), ("'017'", "017"), ('"no"', "no"),
    ],
)  # fmt: skip
def test_scalars_of_yaml_1_2(written: str, value: object) -> None:
    found = config(written)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("1_000", "1000"), ("0.1_5", "0.15"), ("017", "17 or 0o17"), ("007.5", "7.5"), ("0b11", "3"),
        ("-0x1F", "-31"), ("no", "false"), ("Yes", "true"), ("on", "true"), ("OFF", "false"),
    ],
)  # fmt: skip
def test_doubtful_scalars_are_faults_at_their_place(written: str, remedy: str) -> None:
    [fault] = faults(f"{HEAD}  config:\n    x: [1, {written}]\n")
    assert fault.startswith(f"gyrus.yaml:5:12: handler.config.x[1]: {written} is ")
    assert fault.endswith(f'; write {remedy}, or quote it: "{written}"')


def test_numbers_of_fields_have_the_same_rules() -> None:
    [fault] = faults(f"{HEAD}max_queue_length: 1_000\n")
    assert fault.startswith(
        "gyrus.yaml:4:19: max_queue_length: 1_000 is not the same in all versions of YAML"
    )


def test_texts_are_taken_as_they_are_written() -> None:
    [spec] = loads("name: a\nprocess: {command: [x, 017]}\nenv: {ZIP: 01234, SIZE: 1_000}\n", "gyrus.yaml")
    assert isinstance(spec, RealtimeSpec)
    assert spec.env == {"ZIP": "01234", "SIZE": "1_000"}
    assert spec.process
    assert spec.process.command == ("x", "017")


def test_fields_that_are_booleans_may_be_words() -> None:
    [spec] = loads(f"{HEAD}  warm_start: off\nidempotent: yes\n", "gyrus.yaml")
    assert isinstance(spec, RealtimeSpec)
    assert (spec.idempotent, spec.warm_start) == (True, "off")


@pytest.mark.parametrize("text", ['"a\\0b"', '"\\x1b[2J"', '"\\x9b"', '"\\x7f"', '"\\x07"'])
def test_control_characters_are_refused_at_their_place(text: str) -> None:
    [fault] = faults(f"{HEAD}  config:\n    x: {{y: {text}}}\n")
    assert fault.startswith("gyrus.yaml:5:12: handler.config.x.y: the text has a control character, \\x")
    [fault] = faults(f"{HEAD}  config:\n    {text}: 1\n")
    assert fault.startswith("gyrus.yaml:5:5: handler.config.")
    assert "the key has a control character" in fault
    assert fault.isprintable()


def test_half_a_surrogate_pair_is_refused_at_its_place() -> None:
    [fault] = faults(f'{HEAD}  config: {{x: "\\ud800"}}\n')
    assert fault.startswith("gyrus.yaml:4:")
    assert "half a surrogate pair" in fault
    [fault] = faults(f"{HEAD}  config: {{x: \ud800}}\n")
    assert fault == "gyrus.yaml:4:15: the character U+D800 is not allowed in YAML; remove it"


@pytest.mark.parametrize(
    "fields",
    [
        {"env": {"A": "\ud800"}},
        {"env": {"\udc00": "a"}},
        {"name": "\ud800"},
        {"\ud800": 1},
        {"handler": {"path": "handler.py", "config": {"a": [{"\x00": 1}]}}},
        {"handler": {"path": "h\x1b.py"}},
    ],
)
def test_data_without_a_text_is_refused_as_well(fields: dict[str, object]) -> None:
    with pytest.raises(SpecError) as caught:
        check([{"name": "a", "handler": {"path": "handler.py"}} | fields], "apis")
    message = str(caught.value)
    assert message.isprintable()
    assert "; remove it" in message


def test_data_that_is_too_deep_is_refused() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(SpecError, match="is nested more than 40 levels deep; flatten it"):
        check([{"name": "a", "handler": {"path": "handler.py", "config": {"a": deep}}}], "apis")
