"""The calls of AWS, with clients that answer as services do: with botocore's own errors."""

import asyncio
import threading
from typing import Any

import pytest
from botocore import exceptions

from gyrus.aio.backoff import Backoff
from gyrus.cluster.aws.calls import AwsCalls, CallRules
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
)


def refused(code: str, message: str = "Try later.", status: int = 400) -> exceptions.ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return exceptions.ClientError(response, "DescribeThings")


class Service:
    """A client with one operation, which follows a list of answers and exceptions."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def describe_things(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Waits:
    """Sleeps that only note how long they were to take."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def calls(service: Any, waits: Waits | None = None, **rules: Any) -> AwsCalls:
    return AwsCalls(
        "eu-west-1",
        clients=lambda _: service,
        rules=CallRules(**rules),
        sleep=waits or Waits(),
        jitter=lambda: 0.5,
    )


async def test_a_busy_service_is_asked_again_after_delays_that_grow():
    service = Service(
        refused("Throttling"), refused("RequestLimitExceeded"), refused("Whatever", status=503), {"Things": 1}
    )
    waits = Waits()
    answer = await calls(service, waits, backoff=Backoff(1, 10)).call("ec2", "describe_things", Name="a")
    assert answer == {"Things": 1}
    assert waits.seconds == [0.5, 1, 2]  # half of 1, 2 and 4: the jitter
    assert service.asked == [{"Name": "a"}] * 4


async def test_a_lost_connection_is_tried_again():
    lost = exceptions.ConnectionClosedError(endpoint_url="https://ec2.eu-west-1.amazonaws.com")
    assert await calls(Service(lost, {})).call("ec2", "describe_things") == {}


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (
            refused("ExpiredToken", "The security token included in the request is expired"),
            AwsCredentialsRefused,
            "AWS refuses the credentials: The security token included in the request is expired",
        ),
        (
            refused("UnauthorizedOperation", "User: u is not authorized to perform: ec2:RunInstances", 403),
            AwsDenied,
            "The credentials lack the right ec2:RunInstances: "
            "User: u is not authorized to perform: ec2:RunInstances",
        ),
        (
            refused("AccessDenied", "Access denied", 403),
            AwsDenied,
            "The credentials lack the right ec2:DescribeThings: Access denied",
        ),
        (
            refused("InvalidSubnetID.NotFound", "The subnet ID 'subnet-1' does not exist"),
            AwsNotFound,
            "ec2 DescribeThings: The subnet ID 'subnet-1' does not exist (InvalidSubnetID.NotFound)",
        ),
        (
            refused("InvalidParameterValue", "max must be 1"),
            AwsRejected,
            "ec2 refuses DescribeThings: max must be 1 (InvalidParameterValue)",
        ),
        (exceptions.NoCredentialsError(), NoAwsCredentials, "There are no AWS credentials."),
        (
            exceptions.ProfileNotFound(profile="prod"),
            NoAwsCredentials,
            "There are no AWS credentials: The config profile (prod) could not be found.",
        ),
    ],
)
async def test_a_refusal_is_an_error_at_once(failure: Exception, kind: type[AwsError], message: str):
    waits = Waits()
    with pytest.raises(kind) as caught:
        await calls(Service(failure), waits).call("ec2", "describe_things")
    assert str(caught.value) == message
    assert waits.seconds == []


@pytest.mark.parametrize(
    ("failure", "kind", "message"),
    [
        (
            refused("Throttling", "Rate exceeded"),
            AwsThrottled,
            "ec2 did not carry out DescribeThings in 3 tries: Rate exceeded (Throttling)",
        ),
        (
            exceptions.EndpointConnectionError(endpoint_url="https://ec2.eu-west-9.amazonaws.com/"),
            AwsUnreachable,
            "ec2 in eu-west-1 does not answer: "
            'Could not connect to the endpoint URL: "https://ec2.eu-west-9.amazonaws.com/"',
        ),
    ],
)
async def test_a_failure_that_lasts_is_an_error_after_all_tries(
    failure: Exception, kind: type[AwsError], message: str
):
    with pytest.raises(kind) as caught:
        await calls(Service(*[failure] * 3), tries=3).call("ec2", "describe_things")
    assert str(caught.value) == message


async def test_a_call_ends_at_its_deadline_though_its_thread_waits():
    may_end = threading.Event()

    class Hanging:
        def describe_things(self) -> None:
            may_end.wait(30)

    try:
        with pytest.raises(AwsUnreachable, match=r"describe_things took more than 0.05 s"):
            await calls(Hanging(), deadline=0.05).call("ec2", "describe_things")
    finally:
        may_end.set()


async def test_a_fault_of_ours_is_no_error_of_aws():
    with pytest.raises(AttributeError):
        await calls(Service()).call("ec2", "describe_nothing")


@pytest.mark.parametrize(
    ("token", "argument"),
    [("NextToken", "NextToken"), ("nextToken", "nextToken"), ("NextMarker", "Marker")],
)
async def test_all_pages_are_read(token: str, argument: str):
    service = Service({"Things": [1, 2], token: "p2"}, {"Things": [3], token: "p3"}, {"Things": []})
    assert await calls(service).pages("ec2", "describe_things", "Things", Name="a") == [1, 2, 3]
    assert service.asked == [{"Name": "a"}, {"Name": "a", argument: "p2"}, {"Name": "a", argument: "p3"}]


async def test_each_service_has_its_own_bound_and_one_client():
    created: list[str] = []
    gates = {"ec2": threading.Barrier(2), "logs": threading.Barrier(1)}
    most: dict[str, int] = {"ec2": 0, "logs": 0}
    running: dict[str, int] = {"ec2": 0, "logs": 0}
    lock = threading.Lock()

    def client(service: str) -> Any:
        created.append(service)

        class One:
            def describe_things(self) -> dict[str, Any]:
                with lock:
                    running[service] += 1
                    most[service] = max(most[service], running[service])
                gates[service].wait(30)
                with lock:
                    running[service] -= 1
                return {}

        return One()

    aws = AwsCalls("eu-west-1", clients=client, rules=CallRules(at_once={"ec2": 2}, otherwise=1))
    async with asyncio.TaskGroup() as group:
        for number in range(12):
            group.create_task(aws.call("ec2" if number % 2 else "logs", "describe_things"))
    assert most == {"ec2": 2, "logs": 1}
    assert sorted(created) == ["ec2", "logs"]


def test_without_boto_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        return None

    monkeypatch.setattr("gyrus.cluster.aws.calls.find_spec", missing)
    with pytest.raises(NoAwsClient) as caught:
        AwsCalls("eu-west-1")
    assert caught.value.message == "boto3, which calls AWS, is not installed."
    assert caught.value.remedy == "Run: pip install 'gyrus[aws]'"


def test_the_calls_use_boto_with_the_region_and_without_its_own_retries(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")

    async def run() -> tuple[str, Any]:
        client = await AwsCalls("eu-west-3").client("sqs")
        return client.meta.region_name, client.meta.config.retries

    region, retries = asyncio.run(run())
    assert region == "eu-west-3"
    assert retries["total_max_attempts"] == 1
