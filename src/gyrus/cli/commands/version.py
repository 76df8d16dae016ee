"""The command ``gyrus version``."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import click

from gyrus import __version__
from gyrus.cli.capacity import machine_told
from gyrus.cli.output import tell, tell_json
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.contract.operator import OperatorInfo


@click.command("version", cls=Command)
@pass_session
def command(session: CliSession) -> None:
    """Show the versions of this command and of the operator, the gateway's state and the capacity."""
    from gyrus.client.errors import ClientError

    operator, trouble = None, ""
    try:
        operator = session.client().info()
    except ClientError as fault:
        trouble = fault.message
    if session.json:
        tell_json({"version": __version__, "python": platform.python_version(), "operator": operator})
        return
    tell(f"gyrus     {__version__}, Python {platform.python_version()} on {sys.platform}")
    tell(f"operator  {_told(operator) if operator else trouble}")
    if operator:
        tell(f"gateway   {operator.gateway}, {operator.gateway_state}")
    if operator and operator.capacity:
        tell(f"machine   {machine_told(operator.capacity)}")


def _told(operator: OperatorInfo) -> str:
    return f"{operator.version}, process {operator.pid}, backend {operator.backend}, home {operator.home}"
