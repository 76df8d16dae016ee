"""Each example is deployed as in its README, and gives its README's answers."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.platform import EXAMPLES, Platform


def deploy(platform: Platform, example: str, *names: str) -> None:
    """Deploy an example, and run the commands that the deploy shows for its APIs."""
    notes = platform.notes("deploy", EXAMPLES / example, "--yes")
    for name in names or [example]:
        assert platform.json("get", name)["status"] == "live"
    shown = [line.strip() for line in notes.partition("\nTry it:\n")[2].splitlines()]
    assert len(shown) == 2 * len(names or [example])
    for line in shown:
        run_shown(platform, line)


def run_shown(platform: Platform, line: str) -> None:
    command, *arguments = shlex.split(line)
    if command == "gyrus":
        platform.gyrus(*arguments)
        return
    assert command == "curl"
    done = subprocess.run(
        [command, "--silent", "--show-error", "--fail-with-body", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


def predict(platform: Platform, name: str, payload: object) -> Any:
    return json.loads(platform.gyrus("predict", name, json.dumps(payload)))


def sample(file: Path) -> Any:
    return json.loads(file.read_text())


def test_iris(shared_platform: Platform) -> None:
    flower = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    deploy(shared_platform, "iris")

    answer = predict(shared_platform, "iris", flower)
    assert answer["class"] == "setosa"
    assert set(answer["probabilities"]) == {"setosa", "versicolor", "virginica"}
    assert answer["probabilities"]["setosa"] > 0.9
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=0.001)
    large = {"sepal_length": 6.9, "sepal_width": 3.1, "petal_length": 5.4, "petal_width": 2.1}
    assert predict(shared_platform, "iris", large)["class"] == "virginica"

    refused = shared_platform.ask("iris", flower | {"petal_width": "narrow"})
    assert refused.status == 422
    assert "petal_width" in refused.json["detail"]


def test_onnx_digits(shared_platform: Platform) -> None:
    deploy(shared_platform, "onnx-digits")
    three = EXAMPLES / "onnx-digits" / "sample.json"
    answer = json.loads(shared_platform.gyrus("predict", "onnx-digits", f"@{three}"))
    assert answer["digit"] == 3
    assert answer["confidence"] > 0.5
    blank = {"pixels": [[0] * 8] * 7}
    assert shared_platform.ask("onnx-digits", blank).status == 500


def test_streaming(shared_platform: Platform) -> None:
    deploy(shared_platform, "streaming")
    reply = shared_platform.ask("streaming", {"start": "Alice", "words": 30, "seed": 7})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [
        json.loads(line.removeprefix("data: "))
        for line in reply.body.decode().splitlines()
        if line.startswith("data: ")
    ]
    words = [event["word"] for event in events]
    assert [event["number"] for event in events] == list(range(len(words)))
    assert len(words) > 5
    assert words[0] == "Alice"
    text = (EXAMPLES / "streaming" / "alice.txt").read_text("utf-8").split()
    assert set(pairwise(words)) <= set(pairwise(text))
    assert reply.body == shared_platform.ask("streaming", {"words": 30, "seed": 7}).body


def test_tabular(shared_platform: Platform) -> None:
    deploy(shared_platform, "tabular", "wine", "diabetes")
    wine = sample(EXAMPLES / "tabular" / "wine.sample.json")
    answer = predict(shared_platform, "wine", wine)
    assert answer["cultivar"] == 1
    assert answer["probabilities"][1] > 0.8
    assert sum(answer["probabilities"]) == pytest.approx(1, abs=0.001)
    assert predict(shared_platform, "wine", {**wine, "proline": 1300.0, "alcohol": 13.9})["cultivar"] == 0
    refused = shared_platform.ask("wine", {**wine, "hue": "red"})
    assert refused.status == 422
    assert "hue" in refused.json["detail"]

    patient = sample(EXAMPLES / "tabular" / "diabetes.sample.json")
    progression = predict(shared_platform, "diabetes", patient)["progression"]
    lighter = predict(shared_platform, "diabetes", {**patient, "body_mass_index": 20.0})["progression"]
    assert 25 < lighter < progression < 346


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tensorflow_digits(shared_platform: Platform) -> None:
    deploy(shared_platform, "tensorflow-digits")
    five = sample(EXAMPLES / "tensorflow-digits" / "sample.json")
    three = sample(EXAMPLES / "onnx-digits" / "sample.json")
    assert predict(shared_platform, "tensorflow-digits", five)["digit"] == 5

    def read(number: int) -> int:
        reply = shared_platform.ask("tensorflow-digits", five if number % 2 else three)
        return reply.json["digit"]

    with ThreadPoolExecutor(16) as clients:
        digits = list(clients.map(read, range(64)))
    assert digits == [3, 5] * 32


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_pytorch_digits(shared_platform: Platform) -> None:
    deploy(shared_platform, "pytorch-digits")
    seven = sample(EXAMPLES / "pytorch-digits" / "sample.json")
    three = sample(EXAMPLES / "onnx-digits" / "sample.json")
    assert predict(shared_platform, "pytorch-digits", seven)["digit"] == 7

    def read(number: int) -> int:
        reply = shared_platform.ask("pytorch-digits", seven if number % 2 else three)
        return reply.json["digit"]

    with ThreadPoolExecutor(16) as clients:
        digits = list(clients.map(read, range(64)))
    assert digits == [3, 7] * 32


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_sentence_embedding(shared_platform: Platform) -> None:
    deploy(shared_platform, "sentence-embedding")
    sentences = ["A cat sleeps on the sofa.", "A kitten naps on the couch.", "Interest rates rose again."]
    answer = predict(shared_platform, "sentence-embedding", {"sentences": sentences})
    assert [len(vector) for vector in answer["embeddings"]] == [384] * 3
    assert [math.hypot(*vector) for vector in answer["embeddings"]] == pytest.approx([1] * 3, abs=1e-4)
    (same, alike, other), *_ = answer["similarities"]
    assert same == pytest.approx(1, abs=1e-4)
    assert alike > 0.6 > 0.3 > other
