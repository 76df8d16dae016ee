"""The command ``gyrus token``, on the operator's machine and from elsewhere."""

from __future__ import annotations

import pytest

from gyrus.client.client import Client
from gyrus.client.environments import Environment
from gyrus.client.errors import ReadOnlyToken, Unauthorized
from support.command_line import Gyrus
from support.operator_thread import Operator


def far(operator: Operator, token: str) -> Client:
    """Return a client on another machine that has this token."""
    return Client(Environment("far", operator.url, token, certificate=operator.certificate))


def test_a_token_is_printed_once_and_alone(operator: Operator, gyrus: Gyrus) -> None:
    created = gyrus("token", "create", "ci")
    assert created.code == 0, created.err
    token = created.out.strip()
    assert created.err == (
        "The token ci may do everything. Keep it now: it is not shown again.\n"
        "Use it with: gyrus env add NAME --url URL --token TOKEN\n"
    )
    with far(operator, token) as client:
        assert client.apis() == []
    listed = gyrus("token", "list")
    assert token not in listed.out
    heading, line = listed.out.splitlines()
    assert heading.split() == ["NAME", "RIGHTS", "CREATED", "BY"]
    assert line.startswith("ci    all")
    assert " ago   user " in line


def test_json(operator: Operator, gyrus: Gyrus) -> None:
    created = gyrus("token", "create", "reader", "--read-only", "-o", "json").json
    assert (created["name"], created["read_only"], created["token"][:6]) == ("reader", True, "gyrus_")
    (listed,) = gyrus("token", "-o", "json").json
    assert (listed["name"], listed["read_only"]) == ("reader", True)
    assert gyrus("token", "revoke", "reader", "-o", "json").json == {"revoked": "reader"}
    assert gyrus("token", "list").out == "There is no named token.\n"


def test_a_read_only_token_cannot_deploy(operator: Operator, gyrus: Gyrus) -> None:
    token = gyrus("token", "create", "reader", "--read-only", "-o", "json").json["token"]
    with far(operator, token) as client:
        assert client.apis() == []
        with pytest.raises(ReadOnlyToken) as refused:
            client.deploy([{"name": "iris", "process": {"command": ["serve"]}}])
    assert str(refused.value) == (
        "The token reader may only read, and POST /v1/deployments changes something. Use a token that was "
        "created without --read-only."
    )


def test_a_revoked_token_is_reported(operator: Operator, gyrus: Gyrus) -> None:
    token = gyrus("token", "create", "ci", "-o", "json").json["token"]
    assert gyrus("token", "revoke", "ci").out == "The token ci is revoked.\n"
    with far(operator, token) as client, pytest.raises(Unauthorized) as refused:
        client.apis()
    assert str(refused.value).startswith("The token ci was revoked on 20")
    assert str(refused.value).endswith(
        " UTC. Ask for another one: gyrus token create NAME. Set the new one with: gyrus env add"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ("revoke", "nobody"),
            1,
            "error: There is no token named nobody; `gyrus token list` lists those that exist.\n",
        ),
        (
            ("create", "A B"),
            2,
            "error: The request cannot be read.\n\n  name: 'A B' is not the name of a token; write up to 63 "
            "lower-case letters, digits and -\n",
        ),
        (
            ("create", "admin"),
            1,
            "error: admin is the platform's first token. Choose another name.\n",
        ),
    ],
)
def test_what_is_refused(
    operator: Operator, gyrus: Gyrus, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ran = gyrus("token", *arguments)
    assert (ran.code, ran.err) == (code, message)
