"""The largest body of an API, at the gateway."""

from __future__ import annotations

from gyrus.routing.encoder import match_of
from gyrus.routing.resources import routes
from gyrus.state.board import Route


def route(max_body: int) -> Route:
    return Route(api="iris", path="/iris", shares=(), timeout=1.0, max_body=max_body)


def test_a_declared_length_above_the_limit_is_refused_before_the_body_is_sent() -> None:
    refusal = routes._too_large({"path_separated_prefix": "/iris"}, route(100))  # pyright: ignore[reportPrivateUsage] (pure)
    assert refusal["direct_response"] == {"status": 413}
    [header] = refusal["match"]["headers"]
    assert (header["name"], header["range_match"]["start"]) == ("content-length", 101)


def test_another_limit_is_another_entry() -> None:
    assert match_of(route(100)) != match_of(route(200))
