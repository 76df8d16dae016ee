"""The step that follows from an object and an API of the same name."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyrus.contract.operator import ApiOwner, Outcome
from gyrus.custom_resource.api_object import OWNER_LABEL, ApiObject, mirror
from gyrus.custom_resource.plan import (
    DeleteApi,
    Deploy,
    Fetch,
    Mirror,
    ObjectStep,
    Refuse,
    RemoveMirror,
    Rest,
    plan,
)
from gyrus.kubernetes.resources import Manifest
from gyrus.state import transitions
from gyrus.state.records import Api, Revision
from support.world import NOW, api, spec

A, B = "a" * 64, "b" * 64
URL = "https://example.com/iris.tar"
CLI_OWNED = api()
OWNED = api(owner=ApiOwner.MANIFEST)


def manifest(digest: str = A, url: str | None = None, labels: dict[str, str] | None = None) -> ApiObject:
    source = {"sha256": digest, **({"url": url} if url else {})}
    document: Manifest = {
        "metadata": {"name": "iris", "uid": "1", "generation": 1, "labels": labels or {}},
        "spec": {"kind": "RealtimeAPI", "handler": {"path": "handler.py"}, "package": source},
    }
    return ApiObject(document)


def of_cli(kind: str | None = "RealtimeAPI") -> ApiObject:
    return ApiObject(mirror("iris", "gyrus", kind))


def latest(digest: str = A) -> Revision:
    return transitions.snapshot(spec(), 1, digest, NOW)


def decide(
    object: ApiObject | None, known: Api | None, newest: Revision | None = None, *stored: str
) -> ObjectStep:
    return plan(object, known, newest, stored.__contains__)


def deleted(object: ApiObject) -> ApiObject:
    metadata = {**object.manifest["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    return ApiObject({**object.manifest, "metadata": metadata})


@pytest.mark.parametrize(
    ("object", "known", "step"),
    [
        (None, None, Rest()),
        (None, CLI_OWNED, Mirror("RealtimeAPI")),
        (of_cli(), CLI_OWNED, Rest()),
        (of_cli(None), CLI_OWNED, Mirror("RealtimeAPI")),
        (of_cli("BatchAPI"), CLI_OWNED, Mirror("RealtimeAPI")),
        (of_cli(), None, RemoveMirror()),
        (deleted(of_cli(None)), CLI_OWNED, Rest()),
        (None, OWNED, DeleteApi()),
        (of_cli(), OWNED, DeleteApi()),
        (deleted(manifest()), OWNED, DeleteApi()),
        (deleted(manifest()), None, Rest()),
        (None, dataclasses.replace(OWNED, deleting=True), Rest()),
    ],
)
def test_without_a_manifest(object: ApiObject | None, known: Api | None, step: ObjectStep) -> None:
    assert decide(object, known, latest() if known else None) == step


def test_a_manifest_is_deployed_once_its_package_is_there() -> None:
    assert decide(manifest(url=URL), None) == Fetch(URL, A)
    step = decide(manifest(url=URL), None, None, A)
    assert isinstance(step, Deploy)
    assert (step.spec.name, step.package) == ("iris", A)
    assert decide(manifest(), OWNED, latest()) == Rest()


def test_a_package_without_an_address_must_have_been_uploaded() -> None:
    assert decide(manifest(), None) == Refuse(
        "PackageMissing",
        f"spec.package: the package {A} has not been uploaded, or was removed; "
        "upload it with `gyrus package push`, or name its url",
    )


def test_a_changed_manifest_is_deployed_and_one_that_failed_is_not_again() -> None:
    assert isinstance(decide(manifest(B), OWNED, latest(A), B), Deploy)
    fallen_back = dataclasses.replace(OWNED, outcome=Outcome.FAILED)
    assert decide(manifest(B), fallen_back, latest(B)) == Rest()


def test_an_api_of_the_cli_is_not_taken_over() -> None:
    refusal = Refuse(
        "OtherOwner",
        "`gyrus deploy` deployed iris. Delete that API first (gyrus delete iris), "
        "or give the manifest another name.",
    )
    over_the_mirror = manifest(labels={OWNER_LABEL: "cli"})
    assert decide(over_the_mirror, CLI_OWNED, latest(), A) == refusal
    assert isinstance(decide(over_the_mirror, None, None, A), Deploy)  # the API was deleted since


def test_a_manifest_waits_for_the_end_of_an_earlier_api() -> None:
    step = decide(manifest(), dataclasses.replace(OWNED, deleting=True), latest(), A)
    assert isinstance(step, Refuse)
    assert (step.reason, step.message) == (
        "EarlierApiDeleting",
        "An earlier API iris is being deleted. The manifest is deployed next.",
    )


def test_faults_are_reported_and_the_api_goes_on() -> None:
    broken: dict[str, Any] = {**manifest().manifest, "spec": {"kind": "RealtimeAPI"}}
    step = decide(ApiObject(broken), OWNED, latest())
    assert isinstance(step, Refuse)
    assert step.reason == "InvalidSpec"
    assert step.message.startswith("spec")


@given(
    object=st.sampled_from([None, of_cli(), of_cli(None), manifest(), manifest(B, URL), deleted(manifest())]),
    known=st.sampled_from([None, CLI_OWNED, OWNED, dataclasses.replace(OWNED, deleting=True)]),
    newest=st.sampled_from([latest(A), latest(B)]),
    stored=st.sets(st.sampled_from([A, B])),
)
def test_no_step_touches_what_another_owns(
    object: ApiObject | None, known: Api | None, newest: Revision, stored: set[str]
) -> None:
    step = plan(object, known, newest if known else None, stored.__contains__)
    if isinstance(step, Deploy | DeleteApi):
        assert known is None or known.owner is ApiOwner.MANIFEST
    if isinstance(step, RemoveMirror | Mirror):
        assert object is None or object.mirrors
