"""The behaviour that ``gyrus.testing`` promises to users' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gyrus.contract.replica import Limits
from gyrus.testing import HandlerClient, LoadFailed


@dataclass
class Point:
    x: float


class Handler:
    def __init__(self, config: dict[str, Any]) -> None:
        self.factor = config["factor"]
        self.after: list[Any] = []

    def predict(self, payload: Point, headers: Any, query_params: Any, request_id: str, path: str) -> Any:
        return [payload.x * self.factor, headers["X-A"], query_params, request_id, path]

    def post_predict(self, response: Any) -> None:
        self.after.append(response)


def test_a_class() -> None:
    with HandlerClient(Handler, {"factor": 2}) as client:
        reply = client.predict(
            {"x": 1.5},
            headers={"x-a": "b", "X-Request-Id": "r"},
            query_params={"q": [1, 2]},
            path="/sub path",
        )
        assert reply.status == 200
        assert reply.json() == [3.0, "b", {"q": ["1", "2"]}, "r", "/sub path"]
        assert reply.headers["x-request-id"] == "r"
        assert client.handler.instance.after == [reply.json()], "post_predict is over"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] -- the test's own class
        assert client.predict({"x": "wide"}).status == 422
        assert len(client.handler.instance.after) == 1, "not after a refusal"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] -- as above


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "gyrus_testing_helper.py").write_text("ANSWER = 42\n")
    (tmp_path / "handler.py").write_text(
        "from gyrus_testing_helper import ANSWER\nclass Handler:\n    def predict(self): return ANSWER\n"
    )
    with HandlerClient(tmp_path / "handler.py") as client:
        assert client.predict().json() == 42


def test_a_failure_to_load(tmp_path: Path) -> None:
    with pytest.raises(LoadFailed, match="KeyError: 'factor'"):
        HandlerClient(Handler, {})
    with pytest.raises(LoadFailed, match="there is no file"):
        HandlerClient(tmp_path / "none.py")


def test_a_stream_and_a_client_that_leaves() -> None:
    closed: list[bool] = []

    class Stream:
        def predict(self) -> Iterator[str]:
            try:
                for number in range(1000):
                    yield str(number)
            finally:
                closed.append(True)

    with HandlerClient(Stream) as client:
        reply = client.predict(leave_after=3)
        assert reply.chunks[:3] == (b"0", b"1", b"2")
        assert len(reply.chunks) == 3
        assert closed == [True]
        assert len(client.predict().chunks) == 1000


def test_the_timeout_is_visible_to_the_handler() -> None:
    class Slow:
        def predict(self, cancelled: Callable[[], bool]) -> None:
            while not cancelled():
                pass

    with HandlerClient(Slow, limits=Limits(timeout=0.05)) as client:
        assert client.predict().status == 504


async def test_it_works_within_an_async_test() -> None:
    class OnLoop:
        async def predict(self, payload: Any) -> Any:
            return payload

    with HandlerClient(OnLoop) as client:
        assert client.predict([1]).json() == [1]
        assert client.predict("text").text == "text"
        assert client.predict(b"\x00").body == b"\x00"


def test_other_pages() -> None:
    with HandlerClient(Handler, {"factor": 2}) as client:
        assert client.predict(path="/openapi.json", method="GET").json()["openapi"] == "3.1.0"
        assert client.predict(method="GET").status == 405
