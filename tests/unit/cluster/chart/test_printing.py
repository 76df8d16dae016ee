"""Templates as text."""

from __future__ import annotations

import pytest

from gyrus.cluster.chart.merging import ABSENT, Choice
from gyrus.cluster.chart.printing import documents, number, value


def test_a_text_of_the_user_is_quoted_and_a_number_is_not() -> None:
    assert documents([{"a": value("b"), "c": number("d")}]) == (
        "---\na: {{ .Values.b | quote }}\nc: {{ .Values.d | int }}\n"
    )


def test_words_that_yaml_would_change_are_quoted() -> None:
    printed = documents([{"a": "true", "b": "0440", "c": "plain", "d": "a: b", "e": True, "f": "{{ .X }}-y"}])
    assert printed == '---\na: "true"\nb: "0440"\nc: plain\nd: "a: b"\ne: true\nf: "{{ .X }}-y"\n'


def test_choices() -> None:
    tree = {
        "always": 1,
        "either": Choice("c", {"x": 1}, []),
        "one of two": {"x": Choice("c", 1, 2)},
        "without": Choice("c", ABSENT, 2),
        "list": ["a", Choice("c", "b", ABSENT)],
    }
    assert documents([tree]).splitlines() == [
        "---",
        "always: 1",
        "{{- if c }}",
        "either:",
        "  x: 1",
        "{{- else }}",
        "either: []",
        "{{- end }}",
        '"one of two":',
        "{{- if c }}",
        "  x: 1",
        "{{- else }}",
        "  x: 2",
        "{{- end }}",
        "{{- if not (c) }}",
        "without: 2",
        "{{- end }}",
        "list:",
        "- a",
        "{{- if c }}",
        "- b",
        "{{- end }}",
    ]


def test_an_object_may_depend_on_a_condition() -> None:
    assert documents([Choice("c", {"a": 1}, ABSENT)]) == "{{- if c }}\n---\na: 1\n{{- end }}\n"


def test_what_may_become_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="a mapping may become empty, which YAML reads as null: a"):
        documents([{"x": {"a": Choice("c", 1, ABSENT)}}])


def test_an_entry_begins_with_a_field_that_is_always_there() -> None:
    with pytest.raises(ValueError, match="the first field of an entry depends on a condition"):
        documents([{"x": [{"a": Choice("c", 1, 2), "b": 1}]}])
