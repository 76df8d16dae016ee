"""Text that people read: what acts on a terminal or misleads is visible."""

from __future__ import annotations

import json

import pytest

from gyrus.contract.operator import LogLine, Status
from gyrus.contract.visible import escaped, escaped_json, escaped_lines, shown, unsuitable

HOSTILE = {
    "\x1b]52;c;eA==\x07": "\\x1b]52;c;eA==\\x07",
    "a\rb": "a\\rb",
    "\x9b31m": "\\x9b31m",
    "\u202eevil": "\\u202eevil",
    "a\u2028b": "a\\u2028b",
    "\ud800": "\\ud800",
    "\U000e0041": "\\U000e0041",
    "\x7f\x00": "\\x7f\\x00",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_special_characters_are_escaped(text: str) -> None:
    assert escaped(text) == escaped_lines(text) == HOSTILE[text]


def test_only_lines_and_tabs_may_stay() -> None:
    assert escaped("a\n\tb") == "a\\n\\tb"
    assert escaped_lines("a\n\tb") == "a\n\tb"
    assert escaped("größe 漢字 🙂") == "größe 漢字 🙂"


def test_json_keeps_its_meaning() -> None:
    data = {"a\u202e": ["\x9b", "\U000e0041", "é\u2028"]}
    document = json.dumps(data, ensure_ascii=False, indent=1)
    assert json.loads(escaped_json(document)) == data
    assert escaped_json(document).replace("\n", "").isprintable()


def test_data_is_copied_with_its_texts_escaped() -> None:
    line = LogLine(time=1.0, replica="a\x1b", message="x\x07\ny", level=None)
    copy = shown({"lines": [line], "status": Status.LIVE, "pair": ("\r", 2)})
    assert copy["lines"] == [LogLine(time=1.0, replica="a\\x1b", message="x\\x07\ny", level=None)]
    assert copy["status"] is Status.LIVE
    assert copy["pair"] == ("\\r", 2)


def test_unsuitable_characters() -> None:
    assert unsuitable("a\tb\r\n") is None
    assert unsuitable("a\x00") == "\x00"
    assert unsuitable("a\udfff") == "\udfff"
