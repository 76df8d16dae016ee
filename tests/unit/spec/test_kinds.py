"""A kind is added by a model and a line: everything else follows from the registry."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from gyrus.spec import stored
from gyrus.spec.api import ApiSpec, Model
from gyrus.spec.faults import SpecError
from gyrus.spec.kinds import KINDS, LATER_KINDS
from gyrus.spec.load import loads
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.schema import json_schema
from gyrus.spec.stored import UnreadableSpec


class Echo(Model):
    """What is answered."""

    text: str = Field(examples=["hello"])
    """The answer."""
    times: int = Field(default=1, ge=1, le=3)
    """How often."""


class EchoSpec(ApiSpec):
    """An API that answers with a text, and runs nothing."""

    kind: Literal["EchoAPI"] = "EchoAPI"  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    """What kind of API it is."""
    echo: Echo
    """What is answered."""

    @property
    def endpoint_path(self) -> str:
        return f"/echo/{self.name}"


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "EchoAPI", EchoSpec)


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as raised:
        loads(text, "gyrus.yaml")
    return [str(fault) for fault in raised.value.faults]


@pytest.mark.usefixtures("echo")
class TestAnotherKind:
    def test_its_own_model_checks_it(self) -> None:
        first, second = loads(
            "- {name: a, kind: EchoAPI, echo: {text: hi}}\n- {name: b, handler: {path: h.py}}", "gyrus.yaml"
        )
        assert first == EchoSpec(name="a", echo=Echo(text="hi"))
        assert isinstance(second, RealtimeSpec)
        assert (first.initial_replicas, first.bounded_replicas(3), first.files) == (0, 0, frozenset())
        assert first.endpoint_path == "/echo/a"

    def test_its_faults_are_reported_as_well_as_any(self) -> None:
        assert faults(
            "- name: a\n  kind: EchoAPI\n  echo: {txt: hi, times: 4}\n  timeout: 5s\n"
            "- name: b\n  kind: EchApi\n"
        ) == [
            "gyrus.yaml:3:9: echo.text: is missing; write for example text: hello",
            'gyrus.yaml:3:10: echo.txt: unknown field; did you mean "text"?',
            "gyrus.yaml:3:26: echo.times: must be from 1 to 3, not 4",
            "gyrus.yaml:4:3: timeout: unknown field; known here: name, kind, echo",
            "gyrus.yaml:5:3: names nothing that answers requests; "
            "exactly one of handler, model, process, pod is required",
            'gyrus.yaml:6:9: kind: "EchApi" is not a kind; did you mean "EchoAPI"?',
        ]

    def test_it_is_stored_and_read(self) -> None:
        spec = EchoSpec(name="a", echo=Echo(text="hi"))
        assert stored.read(stored.write(spec), 1, spec.endpoint_path) == spec

    def test_the_schema_offers_it(self) -> None:
        schema = json_schema()
        assert schema["items"] == {"oneOf": [{"$ref": "#/$defs/RealtimeAPI"}, {"$ref": "#/$defs/EchoAPI"}]}
        assert schema["$defs"]["EchoAPI"]["properties"]["kind"]["const"] == "EchoAPI"
        assert schema["$defs"]["Echo"]["properties"]["times"]["maximum"] == 3


def test_a_gyrus_without_the_kind_cannot_read_it() -> None:
    found = stored.read(stored.write(EchoSpec(name="a", echo=Echo(text="hi"))), 1, "/echo/a")
    assert isinstance(found, UnreadableSpec)
    assert found.reason.startswith('kind: "EchoAPI" is not a kind')


def test_later_kinds_have_no_model() -> None:
    assert not KINDS.keys() & set(LATER_KINDS)


def test_equal_fields_of_two_kinds_are_two_digests() -> None:
    class Twin(RealtimeSpec):
        kind: Literal["TwinAPI"] = "TwinAPI"  # pyright: ignore[reportIncompatibleVariableOverride]

    fields = {"name": "a", "handler": {"path": "h.py"}}
    assert Twin.model_validate(fields).digest(None) != RealtimeSpec.model_validate(fields).digest(None)
