"""Contract dataclasses survive JSON; differences of version are tolerated, and messages name the fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.replica import HandlerConfig, Limits, Phase, ReplicaConfig, ReplicaStatus
from gyrus.runtime.codec import CodecError, decode, encode

REQUIRED: dict[str, Any] = {"id": "a-1-x", "api": "a", "revision": 1, "project": "/p", "python": "/py"}


@given(st.from_type(ReplicaStatus))
def test_a_status_comes_back_as_it_went(status: ReplicaStatus) -> None:
    text = json.dumps(json.loads(encode(status)))
    assert encode(decode(ReplicaStatus, text)) == encode(status)


def test_a_config_comes_back_as_it_went() -> None:
    config = ReplicaConfig(
        **REQUIRED,
        handler=HandlerConfig(path="h.py", config={"a": [1, {"b": None}]}),
        limits=Limits(max_concurrency=None, timeout=1.5),
        env={"K": "ü\n"},
    )
    assert decode(ReplicaConfig, encode(config)) == config


def test_defaults_are_left_out() -> None:
    assert json.loads(encode(ReplicaConfig(**REQUIRED))) == REQUIRED


def test_an_unknown_field_is_ignored_and_an_absent_one_has_its_default() -> None:
    read = decode(ReplicaStatus, '{"id":"a","api":"a","revision":1,"phase":"ready","new":{"x":1}}')
    assert read == ReplicaStatus(id="a", api="a", revision=1, phase=Phase.READY)


def test_whole_numbers_are_floats_where_floats_are_wanted() -> None:
    read = decode(ReplicaConfig, json.dumps(REQUIRED | {"grace": 5}))
    assert isinstance(read.grace, float)


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"revision": "1"}, "ReplicaConfig.revision is '1', not <class 'int'>"),
        ({"revision": True}, "ReplicaConfig.revision is True, not <class 'int'>"),
        ({"env": {"A": 1}}, "ReplicaConfig.env.A is 1, not <class 'str'>"),
        ({"process": {"command": ["a", 2]}}, "ReplicaConfig.process.command[1] is 2, not <class 'str'>"),
        ({"process": {}}, "ReplicaConfig.process: "),
    ],
)
def test_a_fault_is_named(change: dict[str, Any], reported: str) -> None:
    with pytest.raises(CodecError) as raised:
        decode(ReplicaConfig, json.dumps(REQUIRED | change))
    assert str(raised.value).startswith(reported)


def test_an_unknown_phase_is_a_fault() -> None:
    with pytest.raises(CodecError, match=r"^ReplicaStatus\.phase: 'asleep' is not a valid Phase"):
        decode(ReplicaStatus, '{"id":"a","api":"a","revision":1,"phase":"asleep"}')


def test_what_is_not_json_is_a_fault() -> None:
    with pytest.raises(CodecError, match=r"^ReplicaConfig is not JSON"):
        decode(ReplicaConfig, "{")
