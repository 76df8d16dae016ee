"""``gyrus up``"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gyrus.cli.failures import Failure
from gyrus.cli.output import bold, say, tell, tell_json
from gyrus.cli.session import Command, Session, pass_session

if TYPE_CHECKING:
    from gyrus.cli.local import Ports

PORT = click.IntRange(1, 65535)


@click.command("up", cls=Command)
@click.option("--gateway-port", type=PORT, metavar="PORT", help="For the APIs; 8080, or as last time.")
@click.option("--operator-port", type=PORT, metavar="PORT", help="For the operator; 8079, or as last time.")
@click.option("--foreground", is_flag=True, help="Stay, and log to this terminal, until stopped.")
@pass_session
def command(session: Session, gateway_port: int | None, operator_port: int | None, foreground: bool) -> None:
    """Start this machine's platform.

    What was deployed before comes back. Everything is kept in $GYRUS_HOME, by default ~/.gyrus.
    """
    from gyrus.cli import local

    local.check_system()
    operator = local.running(session.home)
    if operator is None:
        ports = local.choose_ports(session.home, gateway_port, operator_port)
        if foreground:
            _become_operator(session, ports)
        say("Starting the local platform")
        local.start(session.home, ports)
        _show(session, ports.gateway, ports.operator, "The local platform is up.")
        return
    now = local.Ports(operator.gateway_port, operator.operator_port)
    wanted = local.Ports(gateway_port or now.gateway, operator_port or now.operator)
    if wanted != now:
        raise Failure(
            f"The local platform is up on other ports: gateway {now.gateway}, operator {now.operator}.",
            remedy="Stop it first: gyrus down",
        )
    _show(session, now.gateway, now.operator, "The local platform is up already.")


def _show(session: Session, gateway_port: int, operator_port: int, message: str) -> None:
    gateway, operator = f"http://127.0.0.1:{gateway_port}", f"http://127.0.0.1:{operator_port}"
    if session.json:
        tell_json({"gateway": gateway, "operator": operator, "home": str(session.home.root)})
        return
    tell(message)
    tell(f"  endpoints  {bold(gateway + '/<name>')}")
    tell(f"  operator   {operator}")
    tell(f"  home       {session.home.root}")


def _become_operator(session: Session, ports: Ports) -> None:
    """Replace this process, so that a service supervisor that started it supervises the operator itself."""
    from gyrus.cli import local

    local.remember(session.home, ports)
    say(f"The local platform's endpoints: http://127.0.0.1:{ports.gateway}/<name>")
    say("Ctrl-C stops it.")
    arguments = [*local.command(session.home, ports), "--foreground"]
    os.execv(arguments[0], arguments)
