"""The status of an object, and its conditions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gyrus.contract.operator import ApiOwner, ApiView, Outcome, ReplicaCounts, Status
from gyrus.custom_resource.status import ACCEPTED, Acceptance, change_of, status_of, was_refused
from gyrus.kubernetes.resources import Manifest

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)


def view(status: Status, message: str = "") -> ApiView:
    return ApiView(
        name="iris",
        kind="RealtimeAPI",
        status=status,
        endpoint="http://gateway/iris",
        revision=3,
        replicas=ReplicaCounts(requested=2, ready=1, up_to_date=1),
        in_flight=4,
        created_at="2026-01-01T00:00:00Z",
        updated_at="2026-01-01T00:00:00Z",
        message=message,
        owner=ApiOwner.MANIFEST,
    )


def reported(
    acceptance: Acceptance = ACCEPTED,
    seen: ApiView | None = None,
    outcome: Outcome | None = None,
    before: dict[str, Any] | None = None,
    now: datetime = NOW,
) -> Manifest:
    return status_of(acceptance, seen, outcome, generation=7, before=before or {}, now=now)


def conditions(status: Manifest) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def test_the_status_has_what_gyrus_get_shows() -> None:
    status = reported(seen=view(Status.LIVE), outcome=Outcome.DONE)
    del status["conditions"]
    assert status == {
        "observedGeneration": 7,
        "status": "live",
        "revision": 3,
        "endpoint": "http://gateway/iris",
        "in_flight": 4,
        "owner": "manifest",
        "replicas": {"requested": 2, "ready": 1, "up_to_date": 1},
    }


@pytest.mark.parametrize(
    ("status", "outcome", "ready", "reconciling", "stalled"),
    [
        (Status.LIVE, Outcome.DONE, "True", "False", "False"),
        (Status.IDLE, Outcome.DONE, "True", "False", "False"),
        (Status.CREATING, Outcome.PROGRESSING, "False", "True", "False"),
        (Status.UPDATING, Outcome.PROGRESSING, "False", "True", "False"),
        (Status.DEGRADED, Outcome.DONE, "False", "False", "False"),
        (Status.FAILED, Outcome.FAILED, "False", "False", "True"),
        (Status.LIVE, Outcome.FAILED, "False", "False", "True"),  # it fell back to an earlier revision
    ],
)
def test_conditions_of_a_deployed_manifest(
    status: Status, outcome: Outcome, ready: str, reconciling: str, stalled: str
) -> None:
    found = {
        type: value for type, (value, _) in conditions(reported(seen=view(status), outcome=outcome)).items()
    }
    assert found == {"Accepted": "True", "Ready": ready, "Reconciling": reconciling, "Stalled": stalled}


def test_a_refused_manifest() -> None:
    status = reported(Acceptance(False, "InvalidSpec", "spec.handler: no"))
    assert (status["status"], status["message"]) == ("refused", "spec.handler: no")
    assert conditions(status) == {
        "Accepted": ("False", "InvalidSpec"),
        "Ready": ("False", "InvalidSpec"),
        "Reconciling": ("False", "Settled"),
        "Stalled": ("True", "InvalidSpec"),
    }
    assert was_refused(status)
    assert not was_refused(reported())


def test_a_package_that_is_being_fetched() -> None:
    found = conditions(reported(Acceptance(None, "FetchingPackage", "fetching the package")))
    assert found["Accepted"] == ("Unknown", "FetchingPackage")
    assert found["Reconciling"] == ("True", "FetchingPackage")
    assert found["Stalled"] == ("False", "Settled")


def test_times_change_with_the_status_of_a_condition_alone() -> None:
    creating = reported(seen=view(Status.CREATING), outcome=Outcome.PROGRESSING)
    live = reported(seen=view(Status.LIVE), outcome=Outcome.DONE, before=creating, now=LATER)
    times = {each["type"]: each["lastTransitionTime"] for each in live["conditions"]}
    assert times["Accepted"] == "2026-01-01T12:00:00Z"
    assert times["Ready"] == "2026-01-01T13:00:00Z"
    assert {each["observedGeneration"] for each in live["conditions"]} == {7}


def test_a_change_removes_fields_that_are_gone() -> None:
    live = reported(seen=view(Status.LIVE), outcome=Outcome.DONE)
    gone = reported(Acceptance(False, "InvalidSpec", "no"), before=live)
    change = change_of(live, gone)
    assert (change["endpoint"], change["replicas"]) == (None, None)
    assert change_of(gone, gone) == {}


def test_no_text_is_empty() -> None:
    """Kubernetes 1.20 takes an empty text for null, and refuses it."""
    for acceptance in (ACCEPTED, Acceptance(None, "FetchingPackage", "fetching the package")):
        for seen in (None, *map(view, Status)):
            for outcome in (None, *Outcome):
                status = reported(acceptance, seen, outcome)
                assert all(each["message"] and each["reason"] for each in status["conditions"])
                assert "" not in status.values()
