"""The API of an operator that does not lead."""

from __future__ import annotations

import httpx
import pytest

from gyrus.server.standby import build_standby_app


@pytest.fixture
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_standby_app()), base_url="http://standby")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/apis"), ("PUT", "/v1/packages/x"), ("POST", "/"), ("GET", "/readyz")]
)
async def test_it_refuses_all_requests(client: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json() == {
        "type": "urn:gyrus:problem:standby",
        "title": "This operator does not lead",
        "status": 503,
        "detail": "Another operator leads, and this one waits to replace it. Use the address of the Service.",
    }
