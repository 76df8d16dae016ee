"""Commands to paste after a deploy."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from gyrus.cli.example_request import TEXT, ExampleRequest
from gyrus.cli.try_it import Suggestion, suggestion

URL = "http://127.0.0.1:8080/iris"
PLACE = Path("project/sample.json")


def suggested(request: ExampleRequest, sample: Path | None = None) -> Suggestion:
    return suggestion("iris", URL, request, sample, PLACE)


def test_a_sample_comes_before_what_is_described() -> None:
    request = ExampleRequest(payload={"a": 1}, known=True)
    assert suggested(request, Path("my project/sample.json")).commands == [
        "gyrus predict iris '@my project/sample.json'",
        f"curl {URL} -H 'content-type: application/json' -d '@my project/sample.json'",
    ]


def test_a_payload_is_one_word_for_the_shell() -> None:
    payload = {"name": "it's $HOME\x1b"}
    for command in suggested(ExampleRequest(payload=payload, known=True)).commands:
        assert "\x1b" not in command
        assert json.loads(shlex.split(command)[-1]) == payload


def test_a_negative_number_is_no_option() -> None:
    [predict, _] = suggested(ExampleRequest(payload=-3, known=True)).commands
    assert predict == "gyrus predict iris -- -3"


def test_text_is_piped() -> None:
    assert suggested(ExampleRequest(media_type=TEXT, payload="@text", known=True)).commands == [
        "printf %s @text | gyrus predict iris - --content-type text/plain",
        f"curl {URL} -H 'content-type: text/plain' --data-raw @text",
    ]


def test_the_path_of_a_server_is_kept() -> None:
    [curl] = suggested(ExampleRequest(path="/v1/a b", payload=1, known=True)).commands
    assert curl == f"curl '{URL}/v1/a b' -H 'content-type: application/json' -d 1"


@pytest.mark.parametrize(
    ("method", "path", "commands"),
    [
        ("POST", "/", ["gyrus predict iris", f"curl -X POST {URL}"]),
        ("GET", "/words", [f"curl {URL}/words"]),
    ],
)
def test_without_a_body(method: str, path: str, commands: list[str]) -> None:
    assert suggested(ExampleRequest(method, path, media_type="", known=True)) == Suggestion(commands)


@pytest.mark.parametrize("request_", [ExampleRequest(), ExampleRequest(payload=["x" * 3000], known=True)])
def test_an_unknown_or_long_payload_is_left_to_the_user(request_: ExampleRequest) -> None:
    made = suggested(request_)
    assert made.commands[0] == "gyrus predict iris '...'"
    assert f"Write one into {PLACE}" in made.note


def test_bytes_come_from_a_file() -> None:
    made = suggested(ExampleRequest(media_type="application/octet-stream"))
    assert made.commands == [
        "gyrus predict iris @FILE",
        f"curl {URL} -H 'content-type: application/octet-stream' --data-binary @FILE",
    ]
    assert made.note == "Replace FILE: iris takes application/octet-stream."
