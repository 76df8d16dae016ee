from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from gyrus.contract.problem import MEDIA_TYPE

Json = dict[str, Any]


@pytest.fixture
async def document(client: httpx.AsyncClient) -> Json:
    response = await client.get("/openapi.json")
    assert response.status_code == 200
    return response.json()


def operations(document: Json) -> list[tuple[str, Json]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_there(document: Json) -> None:
    assert sorted(name for name, _ in operations(document)) == [
        "DELETE /v1/apis/{name}",
        "DELETE /v1/tokens/{name}",
        "GET /v1/apis",
        "GET /v1/apis/{name}",
        "GET /v1/apis/{name}/description",
        "GET /v1/apis/{name}/events",
        "GET /v1/apis/{name}/logs",
        "GET /v1/apis/{name}/openapi",
        "GET /v1/apis/{name}/revisions",
        "GET /v1/costs",
        "GET /v1/info",
        "GET /v1/metrics",
        "GET /v1/nodes",
        "GET /v1/packages/{digest}",
        "GET /v1/tokens",
        "GET /v1/watch",
        "HEAD /v1/packages/{digest}",
        "POST /v1/apis/{name}/refresh",
        "POST /v1/apis/{name}/rollback",
        "POST /v1/deployments",
        "POST /v1/stop",
        "POST /v1/tokens",
        "PUT /v1/packages/{digest}",
    ]


def test_every_problem_is_described_as_one(document: Json) -> None:
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for name, operation in operations(document):
        problems = {
            code: reported for code, reported in operation["responses"].items() if not code.startswith("2")
        }
        assert {"401", "default"} <= problems.keys(), name
        for reported in problems.values():
            assert reported["content"] == problem, name
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_problems_are_named(document: Json) -> None:
    reported = document["paths"]["/v1/apis/{name}/rollback"]["post"]["responses"]
    assert "urn:gyrus:problem:unknown-api" in reported["404"]["description"]
    assert "urn:gyrus:problem:unknown-revision" in reported["404"]["description"]
    assert "urn:gyrus:problem:conflict" in reported["409"]["description"]


def test_no_reference_leads_nowhere(document: Json) -> None:
    found = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)))
    assert "components/schemas/ApiDescription" in found
    for reference in found:
        place: Any = document
        for part in reference.split("/"):
            place = place[part]


def test_the_token_is_asked_for(document: Json) -> None:
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["security"] == [{"token": []}]


def test_operations_have_plain_names(document: Json) -> None:
    assert document["paths"]["/v1/apis"]["get"]["operationId"] == "list_apis"
