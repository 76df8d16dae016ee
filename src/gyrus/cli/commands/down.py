"""The command ``gyrus down``."""

from __future__ import annotations

import click

from gyrus.cli.failures import WrongInput
from gyrus.cli.output import print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, pass_session
from gyrus.cli.spinner import Spinner

STOP_TIMEOUT = 5.0
"""Seconds for an operator to accept the request to stop."""


@click.command("down", cls=Command)
@pass_session
def command(session: CliSession) -> None:
    """Stop this machine's platform.

    Requests in flight are finished. Deployments come back on the next gyrus up.
    """
    from gyrus.cli import local

    if session.names_another_operator():
        raise WrongInput(
            f"gyrus down stops this machine's platform, and -e {session.environment} names another operator.",
            remedy="Leave out -e. To remove gyrus from a cluster, run: gyrus cluster uninstall",
        )
    operator = local.running(session.home)
    if operator is None:
        _show(session, "The local platform is not up." + _stop_leftovers(session))
        return
    with Spinner("Stopping the local platform") as waiting:
        if _asked_to_stop(session):
            for _ in local.until_ended(operator):
                waiting.tick()
        else:
            print_note("The operator does not accept the request to stop. Ending its process.")
            local.end(operator)
            local.clean(session.home)
    _show(session, "The local platform is down.")


def _stop_leftovers(session: CliSession) -> str:
    """Stop the replicas and the gateway, which stay when an operator exits alone.

    Returns a sentence on it.
    """
    from gyrus.cli import local

    if not local.has_leftovers(session.home):
        return ""
    local.clean(session.home)
    return " Its leftover processes were stopped."


def _asked_to_stop(session: CliSession) -> bool:
    """Ask the operator to stop. Returns False if it does not accept the request."""
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
        print_json({"running": False, "message": message})
    else:
        print_result(message)
