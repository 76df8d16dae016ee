"""Requests to a deployed API, sent through the gateway as by any client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from gyrus.client.connections import trusting
from gyrus.client.errors import EndpointUnreachable, PredictionFailed
from gyrus.client.proof import certificate_fault, endpoint_unproven
from gyrus.client.transport import CONNECT_TIMEOUT, USER_AGENT, parse_problem

JSON = "application/json"
BINARY = "application/octet-stream"


class PredictionAnswer:
    """An API's answer. Its body can be read once, whole or in chunks."""

    def __init__(self, response: BaseHTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yield the body's chunks as they arrive. Raises EndpointUnreachable if the connection breaks."""
        try:
            yield from self._response.stream(65536)
        except HTTPError as fault:
            raise EndpointUnreachable(f"The answer broke off: {fault}") from fault
        finally:
            self._response.close()

    def value(self) -> Any:
        """Return JSON as Python data, text as ``str``, anything else as ``bytes``."""
        body = self.read()
        if self.media_type == JSON or self.media_type.endswith("+json"):
            return msgspec.json.decode(body)
        return body.decode() if self.media_type.startswith("text/") else body


class EndpointCache:
    """A sender of predictions. Several threads may share it."""

    def __init__(self, authority: Path | None = None) -> None:
        """Create it. Raises BadEnvironments.

        ``authority``: one to trust beside those of this system.
        """
        trusted: dict[str, Any] = (
            {"ssl_context": trusting(authority, beside_system=True)} if authority else {}
        )
        self._authority = authority
        self._pool = urllib3.PoolManager(maxsize=8, headers={"user-agent": USER_AGENT}, **trusted)

    def close(self) -> None:
        self._pool.clear()

    def post(
        self, url: str, body: bytes, media_type: str, headers: Mapping[str, str], timeout: float | None
    ) -> PredictionAnswer:
        """Post a body. Raises EndpointUnreachable. Raises PredictionFailed for an error status."""
        sent = {"content-type": media_type, **headers}
        answer = self._request("POST", url, timeout, body=body, headers=sent)
        if answer.status >= 400:
            raise _failure(url, answer)
        return answer

    def _request(self, method: str, url: str, timeout: float | None, **options: Any) -> PredictionAnswer:
        options["headers"] = {**self._pool.headers, **options.get("headers", {})}
        try:
            response = self._pool.request(
                method, url, preload_content=False, retries=False, redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout), **options,
            )  # fmt: skip
        except HTTPError as fault:
            raise self._unreachable(url, fault) from fault
        return PredictionAnswer(response)

    def _unreachable(self, url: str, fault: HTTPError) -> EndpointUnreachable:
        if isinstance(fault, (NewConnectionError, ConnectTimeoutError)):
            return EndpointUnreachable(
                f"No gateway answers at {url}.", remedy="Check its state: gyrus version"
            )
        if isinstance(fault, ReadTimeoutError):
            return EndpointUnreachable(f"{url} did not answer in time.")
        if certificate_fault(fault):
            unproven = endpoint_unproven(fault, self._authority, datetime.now(UTC))
            return EndpointUnreachable(
                f"The server at {url} did not prove itself: {unproven.cause}. Nothing was sent to it.",
                remedy=unproven.remedy,
            )
        return EndpointUnreachable(f"The connection to {url} broke: {fault}")


def encode(payload: object) -> tuple[bytes, str]:
    """Return the body and media type of a payload: bytes unchanged, anything else as JSON."""
    if isinstance(payload, (bytes, bytearray)):
        return bytes(payload), BINARY
    import orjson  # not msgspec: the payload may contain numpy arrays

    return orjson.dumps(payload, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS), JSON


def _failure(url: str, answer: PredictionAnswer) -> PredictionFailed:
    body = answer.read()
    problem = parse_problem(body, answer.headers.get("content-type", ""))
    detail = problem.detail or problem.title if problem else body[:2000].decode(errors="replace")
    message = f"{url} answered {answer.status}: {detail}"
    return PredictionFailed(message, status=answer.status, problem=problem, body=body)
