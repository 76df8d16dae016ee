"""Calls of AWS services: concurrent, bounded, with retries and a deadline, cancellable."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias, cast

from gyrus.aio.backoff import Backoff
from gyrus.aio.daemon_threads import DaemonThreads
from gyrus.cluster.aws.errors import (
    AwsCredentialsRefused,
    AwsDenied,
    AwsError,
    AwsNotFound,
    AwsRejected,
    AwsThrottled,
    AwsUnreachable,
    NoAwsClient,
    NoAwsCredentials,
    denied_action,
)

log = logging.getLogger(__name__)

Answer: TypeAlias = dict[str, Any]
"""The answer of an operation, as the service's reference describes it."""


class AwsCaller(Protocol):
    """Calls AWS; :class:`AwsCalls` does."""

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer: ...

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]: ...


BUSY = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "ScalingActivityInProgress",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "OperationAbortedException",
    }
)
"""Codes of services that are busy: botocore's list of throttling codes, and conflicts that pass."""
FAILING = frozenset(
    {"InternalError", "InternalFailure", "RequestTimeout", "ServiceUnavailable", "Unavailable"}
)
REFUSED = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
MISSING = (".NotFound", "NotFoundException", "NotFound", "NoSuchEntity", "NoSuchBucket", "NoSuchKey")
MISSING_CODES = frozenset({"404", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class CallRules:
    """Bounds of the calls."""

    at_once: Mapping[str, int] = field(
        default_factory=lambda: {"cloudformation": 6, "ec2": 8, "autoscaling": 6, "logs": 4}
    )
    """Calls of a service at the same time; :attr:`otherwise` for those that are not named."""
    otherwise: int = 4
    tries: int = 8
    backoff: Backoff = field(default_factory=lambda: Backoff(0.2, 8))
    deadline: float = 120
    """Seconds for all tries of a call together."""
    answer_within: float = 30
    """Seconds for one answer, after which the connection is given up."""

    def most(self, service: str) -> int:
        return self.at_once.get(service, self.otherwise)


class AwsCalls:
    """Calls AWS by boto3, in threads.

    A call waits for a place among those of its service, then runs with retries: after throttling, after
    failures of the service and of the network, with full jitter. All calls of this package may be repeated
    without harm: they have tokens, or set what shall be.
    """

    def __init__(
        self,
        region: str,
        *,
        clients: Callable[[str], Any] | None = None,
        rules: CallRules | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """``clients`` returns the client of a service; by default boto3's, with the usual configuration.

        Raises NoAwsClient without boto3.
        """
        if clients is None and find_spec("boto3") is None:
            raise NoAwsClient
        self.region = region
        self._rules = rules or CallRules()
        self._new_client = clients or _boto_clients(region, self._rules)
        self._clients: dict[str, Any] = {}
        self._creating = threading.Lock()
        self._threads: dict[str, DaemonThreads] = {}
        self._sleep = sleep
        self._jitter = jitter

    async def call(self, service: str, operation: str, /, **arguments: Any) -> Answer:
        """Carry out an operation (``describe_stacks``). Raises AwsError."""
        try:
            async with asyncio.timeout(self._rules.deadline):
                return await self._tried(service, operation, arguments)
        except TimeoutError:
            cause = f"{operation} took more than {self._rules.deadline:g} s"
            raise AwsUnreachable(service, self.region, cause) from None

    async def pages(self, service: str, operation: str, key: str, /, **arguments: Any) -> list[Any]:
        """Return the entries ``key`` of all pages of an operation. Raises AwsError."""
        entries: list[Any] = []
        more = arguments
        while True:
            answer = await self.call(service, operation, **more)
            entries += answer.get(key, [])
            following = _following(answer)
            if not following:
                return entries
            more = arguments | following

    async def client(self, service: str) -> Any:
        """Return the client of a service, for what is no call: its metadata, or a signed URL."""
        return await self._run(service, lambda: self._client(service))

    async def _tried(self, service: str, operation: str, arguments: Mapping[str, Any]) -> Answer:
        for number in range(self._rules.tries):
            try:
                return await self._run(
                    service, lambda: getattr(self._client(service), operation)(**arguments)
                )
            except Exception as error:
                failure = self._translated(service, operation, error, number + 1)
                if not isinstance(failure, AwsThrottled | AwsUnreachable) or number + 1 == self._rules.tries:
                    raise failure from error
                log.debug("%s %s: %s", service, operation, failure)
            await self._sleep(self._rules.backoff.delay(number) * self._jitter())
        raise AssertionError("the last try has raised")

    async def _run(self, service: str, call: Callable[[], Any]) -> Any:
        if service not in self._threads:
            self._threads[service] = DaemonThreads(f"AWS {service}", self._rules.most(service))
        return await self._threads[service].run(call)

    def _client(self, service: str) -> Any:
        with self._creating:  # boto3's sessions allow no two threads; its clients do
            if service not in self._clients:
                self._clients[service] = self._new_client(service)
            return self._clients[service]

    def _translated(self, service: str, operation: str, error: Exception, tries: int) -> Exception:
        """Return the error of gyrus for one of botocore. Any other one is a fault of ours, and stays."""
        from botocore import exceptions

        action = _api_name(operation)
        match error:
            case AwsError():
                return error
            case exceptions.ClientError():
                return _refusal(service, action, cast("Mapping[str, Any]", vars(error)["response"]), tries)
            case exceptions.NoCredentialsError():
                return NoAwsCredentials()
            case (
                exceptions.PartialCredentialsError()
                | exceptions.ProfileNotFound()
                | exceptions.CredentialRetrievalError()
                | exceptions.SSOError()
            ):
                return NoAwsCredentials(str(error))
            case exceptions.HTTPClientError() | exceptions.ConnectionError():
                return AwsUnreachable(service, self.region, str(error))
            case exceptions.ParamValidationError() | exceptions.BotoCoreError():
                return AwsRejected(service, action, type(error).__name__, str(error))
            case _:
                return error


def _boto_clients(region: str, rules: CallRules) -> Callable[[str], Any]:
    logging.getLogger("botocore").setLevel(logging.WARNING)  # it logs the place of each setting
    sessions: list[Any] = []

    def client(service: str) -> Any:
        from botocore.config import Config

        if not sessions:
            boto3: Any = import_module("boto3")  # it has no types
            sessions.append(boto3.Session(region_name=region))
        config = Config(
            connect_timeout=5,
            read_timeout=rules.answer_within,
            retries={"total_max_attempts": 1},
            max_pool_connections=rules.most(service),
        )
        return sessions[0].client(service, config=config)

    return client


def _refusal(service: str, operation: str, response: Mapping[str, Any], tries: int) -> AwsError:
    error: Mapping[str, Any] = response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", "")).strip() or "no message"
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in BUSY or code in FAILING or status >= FIRST_SERVER_ERROR:
        return AwsThrottled(service, operation, tries, f"{message} ({code})")
    if code in REFUSED:
        return AwsCredentialsRefused(message)
    if code in DENIED:
        return AwsDenied(denied_action(message, service, operation), message)
    if code in MISSING_CODES or code.endswith(MISSING):
        return AwsNotFound(service, operation, code, message)
    return AwsRejected(service, operation, code, message)


_TOKENS = {
    "NextToken": "NextToken",
    "nextToken": "nextToken",
    "NextMarker": "Marker",
    "Marker": "Marker",
    "NextContinuationToken": "ContinuationToken",
}
"""By the field of an answer that announces another page: the argument that asks for it."""


def _following(answer: Answer) -> dict[str, Any]:
    """Return the argument that asks for the page after this answer's. Empty after the last one."""
    if answer.get("IsTruncated") is False:
        return {}
    for name, argument in _TOKENS.items():
        if answer.get(name):
            return {argument: answer[name]}
    return {}


def _api_name(operation: str) -> str:
    """Return the name of an operation in the service's reference.

    >>> _api_name("describe_stacks")
    'DescribeStacks'
    """
    return "".join(word.capitalize() for word in operation.split("_"))
