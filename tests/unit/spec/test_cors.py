"""The web pages that may call an API."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyrus.spec.cors import Cors
from gyrus.spec.faults import SpecError
from gyrus.spec.load import load
from gyrus.spec.realtime import RealtimeSpec

YAML = """\
name: iris
handler: {path: handler.py}
networking:
  cors:
"""


def faults(tmp_path: Path, *lines: str) -> str:
    (tmp_path / "handler.py").write_text("class Handler: ...\n")
    (tmp_path / "gyrus.yaml").write_text(YAML + "".join(f"    {line}\n" for line in lines))
    with pytest.raises(SpecError) as raised:
        load(tmp_path / "gyrus.yaml")
    return str(raised.value)


@pytest.mark.parametrize(
    "origin",
    ["*", "https://app.example.com", "http://localhost:3000", "https://*.example.com", "http://[::1]:3000",
     "chrome-extension://abcdefgh", "http://127.0.0.1:5173", "capacitor://localhost"],
)  # fmt: skip
def test_origins(origin: str) -> None:
    assert Cors.model_validate({"origins": [origin]}).origins == (origin,)


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        ("https://app.example.com/", "write for example https://app.example.com,"),
        ("https://App.example.com", "write for example https://app.example.com,"),
        ("app.example.com", "is not an origin"),
        ("https://app.example.com/path", "is not an origin"),
        ("https://*", "is not an origin"),
        ("https://a.*.example.com", "is not an origin"),
        ("https://app*.example.com", "is not an origin"),
        ("null", "is not an origin"),
        ("", "is not an origin"),
        ("https://app.example.com:443", "write https://app.example.com"),
        ("http://app.example.com:80", "write http://app.example.com"),
    ],
)
def test_faults_of_an_origin_are_at_its_line(tmp_path: Path, origin: str, message: str) -> None:
    text = faults(tmp_path, f"origins: [https://fine.example, '{origin}']")
    assert "gyrus.yaml:5:" in text
    assert "networking.cors.origins[1]" in text
    assert message in text


@pytest.mark.parametrize("field", ["origins", "methods", "headers", "expose_headers"])
def test_any_contradicts_credentials(tmp_path: Path, field: str) -> None:
    origins = () if field == "origins" else ("origins: [https://fine.example]",)
    text = faults(tmp_path, "credentials: true", *origins, f"{field}: ['*']")
    assert f"gyrus.yaml:{6 + len(origins)}:" in text
    assert f"networking.cors.{field}[0]: is *, which browsers do not accept" in text


def test_any_beside_another_origin(tmp_path: Path) -> None:
    assert "stands for every origin" in faults(tmp_path, "origins: ['*', https://fine.example]")


@pytest.mark.parametrize("line", ["methods: [post]", "headers: ['a b']", "max_age: 25h", "origins: []"])
def test_other_faults(tmp_path: Path, line: str) -> None:
    lines = [line] if line.startswith("origins") else ["origins: ['*']", line]
    assert f"networking.cors.{line.partition(':')[0]}" in faults(tmp_path, *lines)


def test_cors_changes_the_digest_only_if_it_is_given() -> None:
    fields = {"name": "iris", "handler": {"path": "handler.py"}}
    plain = RealtimeSpec.model_validate(fields)
    cors = RealtimeSpec.model_validate(fields | {"networking": {"cors": {"origins": ["*"]}}})
    assert plain.serving.cors is None
    assert plain.digest("x") != cors.digest("x")
    assert plain.digest("x") == RealtimeSpec.model_validate(fields | {"networking": {}}).digest("x")
