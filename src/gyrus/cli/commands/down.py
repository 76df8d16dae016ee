"""``gyrus down``"""

from __future__ import annotations

import click

from gyrus.cli.output import say, tell, tell_json
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.cli.spinner import Spinner

STOP_TIMEOUT = 5.0
"""Seconds that an operator may take to hear that it should stop."""


@click.command("down", cls=Command)
@pass_session
def command(session: CliSession) -> None:
    """Stop this machine's platform.

    Requests in flight are finished. What is deployed stays wanted: the next gyrus up brings it back.
    """
    from gyrus.cli import local

    operator = local.running(session.home)
    if operator is None:
        _show(session, "The local platform is not up." + _stop_leftovers(session))
        return
    with Spinner("Stopping the local platform") as waiting:
        if _asked_to_stop(session):
            for _ in local.until_ended(operator):
                waiting.tick()
        else:
            say("The operator cannot be asked to stop; ending it.")
            local.end(operator)
            local.clean(session.home)
    _show(session, "The local platform is down.")


def _stop_leftovers(session: CliSession) -> str:
    """An operator that ends alone leaves its replicas and the gateway running."""
    from gyrus.cli import local

    if not local.has_leftovers(session.home):
        return ""
    local.clean(session.home)
    return " What was left of it has been stopped."


def _asked_to_stop(session: CliSession) -> bool:
    """False where the operator does not take the request."""
    from gyrus.client.client import Client
    from gyrus.client.environments import local_environment
    from gyrus.client.errors import ClientError

    try:
        with Client(local_environment(session.home), timeout=STOP_TIMEOUT) as client:
            client.stop()
    except ClientError:
        return False
    return True


def _show(session: CliSession, message: str) -> None:
    if session.json:
        tell_json({"running": False, "message": message})
    else:
        tell(message)
