from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gyrus.spec import stored
from gyrus.spec.api import ApiSpec, Autoscaling, Compute, Handler
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.stored import NEWER_REMEDY, REMEDY, UnreadableSpec
from gyrus.spec.upgrades import Upgrade, current_version
from strategies.specs import api_specs

WRITTEN: dict[str, Any] = {"name": "iris", "handler": {"path": "handler.py"}}


def read(document: Any, version: int = 1, *upgrades: Upgrade) -> ApiSpec | UnreadableSpec:
    text = document if isinstance(document, str) else json.dumps(document)
    return stored.read(text, version, "/iris", upgrades)


def unreadable(document: Any, version: int = 1, *upgrades: Upgrade) -> UnreadableSpec:
    found = read(document, version, *upgrades)
    assert isinstance(found, UnreadableSpec)
    return found


@given(spec=api_specs())
def test_what_is_written_is_read_again(spec: RealtimeSpec) -> None:
    assert stored.read(stored.write(spec), current_version(), "/iris") == spec


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (WRITTEN | {"warp": 9}, "warp: unknown field"),
        (WRITTEN | {"autoscaling": {"max_replcas": 3}}, "autoscaling.max_replcas: unknown field"),
        (WRITTEN | {"timeout": "soon"}, 'timeout: "soon" is not a duration'),
        (WRITTEN | {"kind": "Teleporter"}, 'kind: "Teleporter" is not a kind'),
        (WRITTEN | {"kind": "TaskAPI"}, "kind: TaskAPI is not supported yet by this version"),
        ({"name": "iris"}, "names nothing that answers requests"),
        ({}, "name: is missing, names nothing that answers requests"),
        (
            WRITTEN | dict.fromkeys("abcde"),
            "a: unknown field, b: unknown field, c: unknown field and 2 more faults",
        ),
        ("[]", "the stored document is not a JSON object"),
        ("", "the stored document is not JSON (Expecting value: line 1 column 1 (char 0))"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_names_the_field_and_the_remedy(document: Any, reason: str) -> None:
    assert unreadable(document).reason == f"{reason}; {REMEDY}"


def test_what_is_nested_too_deeply_is_unreadable() -> None:
    deep = '{"name": "iris", "handler": {"path": "handler.py", "config": {"x": ' + "[" * 90_000
    assert unreadable(deep + "]" * 90_000 + "}}}").reason.endswith(REMEDY)


FIELDS = [
    *RealtimeSpec.model_fields, *Autoscaling.model_fields, *Handler.model_fields, *Compute.model_fields,
]  # fmt: skip
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
)


@given(text=st.text() | anything.map(json.dumps))
@example('{"timeout": 1e400}')
@example('{"compute": {"cpu": Infinity, "mem": 1e400}}')
@example('{"autoscaling": {"schedule": [{"cron": "* * * * *", "time_zone": "\\ud800"}]}}')
def test_anything_is_read_or_unreadable(text: str) -> None:
    found = read(text)
    assert isinstance(found, UnreadableSpec)
    assert found.request_timeout > timedelta(0)


@pytest.mark.parametrize("version", [0, -1, 2, 99])
def test_a_version_that_is_not_known(version: int) -> None:
    assert unreadable(WRITTEN, version).reason == (
        f"a gyrus wrote it in version {version}, and this one reads versions up to 1; {NEWER_REMEDY}"
    )


def test_what_is_understood_of_it_is_there() -> None:
    found = unreadable(WRITTEN | {"timeout": "5s", "warp": 9})
    assert found.endpoint_path == "/iris"
    assert found.request_timeout == timedelta(seconds=5)
    assert found.document["handler"] == {"path": "handler.py"}
    assert unreadable("{").request_timeout == timedelta(minutes=1)
    assert unreadable("{").document == {}


# Versions


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    """From 1 to 2: ``patience`` became ``timeout``."""
    rest = {name: value for name, value in document.items() if name != "patience"}
    return rest | {"timeout": document["patience"]}


def in_seconds(document: dict[str, Any]) -> dict[str, Any]:
    """From 2 to 3: numbers became durations."""
    return document | {"timeout": f"{document['timeout']}s"}


@pytest.mark.parametrize(
    ("version", "field"), [(1, {"patience": 7}), (2, {"timeout": 7}), (3, {"timeout": "7s"})]
)
def test_each_version_is_brought_to_the_newest(version: int, field: dict[str, Any]) -> None:
    found = read(WRITTEN | field, version, renamed, in_seconds)
    assert isinstance(found, RealtimeSpec)
    assert found.timeout == timedelta(seconds=7)


def test_an_upgrade_that_does_not_find_what_it_needs_makes_it_unreadable() -> None:
    assert unreadable(WRITTEN, 1, renamed).reason == (
        f"it cannot be brought from version 1 to 2 (KeyError: 'patience'); {REMEDY}"
    )
