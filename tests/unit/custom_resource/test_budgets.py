"""The disruption budget of an API."""

from __future__ import annotations

import dataclasses

import pytest

from gyrus.custom_resource.api_object import ApiObject, mirror
from gyrus.custom_resource.budgets import budget, needed_budget
from gyrus.kubernetes.resources import DISRUPTION_BUDGETS, DISRUPTION_BUDGETS_BETA, Manifest, ResourceKind
from gyrus.state.records import Api
from support.world import api

made = mirror("iris", "gyrus", "RealtimeAPI")
OBJECT = ApiObject({**made, "metadata": {**made["metadata"], "uid": "1"}})


def needed(known: Api | None, present: Manifest | None, object: ApiObject | None = OBJECT) -> Manifest | None:
    return needed_budget(DISRUPTION_BUDGETS, "gyrus", object, known, present)


@pytest.mark.parametrize("kind", [DISRUPTION_BUDGETS, DISRUPTION_BUDGETS_BETA])
def test_no_replica_may_be_evicted_before_it_is_replaced(kind: ResourceKind) -> None:
    assert budget(kind, "gyrus", OBJECT, 3) == {
        "apiVersion": kind.api_version,
        "kind": "PodDisruptionBudget",
        "metadata": {
            "name": "gyrus-api-iris",
            "namespace": "gyrus",
            "labels": {"gyrus.dev/api": "iris", "app.kubernetes.io/managed-by": "gyrus"},
            "ownerReferences": [
                {
                    "apiVersion": "gyrus.dev/v1",
                    "kind": "API",
                    "name": "iris",
                    "uid": "1",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": {
            "minAvailable": 3,
            "selector": {"matchLabels": {"gyrus.dev/api": "iris", "gyrus.dev/role": "replica"}},
        },
    }


def test_a_budget_follows_the_number_of_replicas_and_its_owner() -> None:
    present = needed(api(replicas=2), None)
    assert present is not None
    assert needed(api(replicas=2), present) is None
    assert needed(api(replicas=3), present) == budget(DISRUPTION_BUDGETS, "gyrus", OBJECT, 3)
    other = ApiObject({**made, "metadata": {**made["metadata"], "uid": "2"}})
    assert needed(api(replicas=2), present, other) is not None


def test_an_api_that_ends_needs_no_budget() -> None:
    assert needed(dataclasses.replace(api(), deleting=True), None) is None
    assert needed(None, None) is None
    assert needed(api(), None, None) is None
