from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import yaml
from hypothesis import given
from pydantic import Field, ValidationError

from gyrus.spec.api import Autoscaling, Compute, Handler
from gyrus.spec.load import loads
from gyrus.spec.realtime import RealtimeSpec
from gyrus.spec.scalars import Loader
from strategies.specs import api_specs


def handler_api(**fields: Any) -> RealtimeSpec:
    return RealtimeSpec.model_validate({"name": "iris", "handler": {"path": "handler.py"}} | fields)


class Dumper(yaml.SafeDumper):
    """A writer that quotes the texts that would be numbers or doubtful in YAML 1.2."""

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


@given(spec=api_specs())
def test_what_is_dumped_can_be_read_again(spec: RealtimeSpec):
    dumped = spec.model_dump(mode="json")
    again = RealtimeSpec.model_validate(json.loads(json.dumps(dumped)))
    assert again == spec
    assert again.digest("p") == spec.digest("p")


@given(spec=api_specs())
def test_what_is_written_as_yaml_can_be_read_again(spec: RealtimeSpec):
    text = yaml.dump([spec.model_dump(mode="json", exclude_unset=True)], Dumper=Dumper)
    assert loads(text, "gyrus.yaml") == (spec,)


def test_the_defaults_are_as_documented():
    spec = handler_api()
    assert (spec.kind, spec.max_queue_length, spec.timeout) == ("RealtimeAPI", 100, timedelta(seconds=60))
    assert (spec.compute.cpu, spec.compute.mem, spec.compute.gpu) == (0.2, None, 0)
    assert spec.autoscaling == Autoscaling(
        min_replicas=1, max_replicas=100, init_replicas=None, target_in_flight=None,
        window=timedelta(seconds=60), upscale_stabilization_period=timedelta(minutes=1),
        downscale_stabilization_period=timedelta(minutes=5), max_upscale_factor=1.5,
        max_downscale_factor=0.75, upscale_tolerance=0.05, downscale_tolerance=0.05,
    )  # fmt: skip
    assert (spec.update_strategy.max_surge, spec.update_strategy.max_unavailable) == ("25%", "25%")


@pytest.mark.parametrize(
    ("fields", "slots"),
    [
        ({}, 1),
        ({"max_concurrency": 7}, 7),
        ({"max_concurrency": None}, None),
        ({"handler": {"path": "h.py", "processes": 3}}, 3),
        ({"handler": {"path": "h.py", "processes": 3}, "max_concurrency": 5}, 5),
        ({"handler": {"path": "h.py", "batching": {"max_size": 8}}}, 8),
        ({"handler": {"path": "h.py", "batching": {"max_size": 8}}, "max_concurrency": 1}, 8),
        ({"handler": {"path": "h.py", "batching": {"max_size": 8}, "processes": 2}}, 16),
        (
            {"handler": {"path": "h.py", "batching": {"max_size": 8}, "processes": 2}, "max_concurrency": 40},
            40,
        ),
        ({"handler": None, "process": {"command": ["serve"]}}, None),
        ({"handler": None, "process": {"command": ["serve"]}, "max_concurrency": 4}, 4),
    ],
)
def test_slots(fields: dict[str, Any], slots: int | None):
    assert handler_api(**fields).slots == slots


@pytest.mark.parametrize(
    ("endpoint", "path"), [(None, "/iris"), ("a/b", "/a/b"), ("/a/", "/a"), ("models/iris", "/models/iris")]
)
def test_endpoint_path(endpoint: str | None, path: str):
    assert handler_api(networking={"endpoint": endpoint}).endpoint_path == path


@pytest.mark.parametrize(
    ("least", "first", "most", "initial"), [(0, None, 9, 1), (3, None, 9, 3), (0, 0, 9, 0), (1, 4, 9, 4)]
)
def test_initial_replicas(least: int, first: int | None, most: int, initial: int):
    assert Autoscaling(min_replicas=least, init_replicas=first, max_replicas=most).initial == initial


def test_a_digest_names_the_meaning_and_the_files():
    spec = handler_api()
    written_out = handler_api(max_concurrency=1, timeout="1m", compute={"cpu": "200m"})
    assert spec.digest("p") == written_out.digest("p")
    assert (
        len({spec.digest("p"), spec.digest("q"), spec.digest(None), handler_api(timeout="2m").digest("p")})
        == 4
    )


def test_a_digest_of_batches_is_that_of_earlier_versions():
    def digest(**batching: Any) -> str:
        return handler_api(handler={"path": "h.py", "batching": batching}).digest("p")

    # Written before ``auto`` existed: 5ms was the default.
    assert digest(max_wait="5ms") == "fa2a579e5d28521ff908d4ea78dff309ec619f065631f46087c4834ce2307db2"
    assert (
        digest(max_size=8, max_wait="20ms")
        == "f5f2e543f5ee507b5084ecddcd55005c8820777e1608963d5e610dcd5fc1845e"
    )
    assert digest() == digest(max_wait="auto")
    assert len({digest(), digest(max_wait="5ms"), digest(max_wait="0ms")}) == 3


class RicherCompute(Compute):
    disk: int | None = None


class RicherSpec(RealtimeSpec):
    """As a later gyrus has it: with fields that are not needed."""

    compute: RicherCompute = RicherCompute()  # pyright: ignore[reportIncompatibleVariableOverride] -- frozen
    region: str = "here"
    tags: dict[str, str] = Field(default_factory=dict[str, str])


@given(spec=api_specs())
def test_a_new_field_with_a_default_changes_no_digest(spec: RealtimeSpec):
    richer = RicherSpec.model_validate(spec.model_dump(mode="json"))
    assert richer.digest("p") == spec.digest("p")
    assert richer.model_copy(update={"region": "there"}).digest("p") != spec.digest("p")
    bigger = RicherCompute.model_validate({**spec.compute.model_dump(mode="json"), "disk": 5})
    assert richer.model_copy(update={"compute": bigger}).digest("p") != spec.digest("p")


def test_a_wrong_specification_cannot_be_made():
    with pytest.raises(ValidationError, match="names nothing that answers"):
        RealtimeSpec(name="iris")
    with pytest.raises(ValidationError, match="would never work"):
        RealtimeSpec(name="iris", handler=Handler(path="h.py", processes=4), max_concurrency=2)
    with pytest.raises(ValidationError, match="above max_replicas"):
        Autoscaling(min_replicas=3, max_replicas=2)


def test_a_specification_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        handler_api().name = "other"
