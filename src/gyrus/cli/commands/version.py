"""The command ``gyrus version``."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import click

from gyrus import __version__
from gyrus.cli.capacity import machine_summary, node_summaries
from gyrus.cli.failures import unreachable
from gyrus.cli.output import print_json, print_result
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.contract.operator import OperatorInfo


@click.command("version", cls=Command)
@pass_session
def command(session: CliSession) -> None:
    """Show the versions of this command and of the operator, the gateway's state and the capacity."""
    from gyrus.client.errors import ClientError, OperatorUnreachable

    operator, trouble = None, ""
    try:
        operator = session.client().info()
    except OperatorUnreachable as fault:
        trouble = unreachable(fault, session).message
    except ClientError as fault:
        trouble = fault.message
    if session.json:
        print_json({"version": __version__, "python": platform.python_version(), "operator": operator})
        return
    print_result(f"gyrus     {__version__}, Python {platform.python_version()} on {sys.platform}")
    print_result(f"operator  {_operator_summary(operator) if operator else trouble}")
    if operator:
        print_result(f"gateway   {operator.gateway}, {operator.gateway_state}")
    if operator and operator.capacity:
        where = "cluster" if operator.capacity.nodes else "machine"
        print_result(f"{where}   {machine_summary(operator.capacity)}")
        for line in node_summaries(operator.capacity):
            print_result(f"          {line}")


def _operator_summary(operator: OperatorInfo) -> str:
    return f"{operator.version}, process {operator.pid}, backend {operator.backend}, home {operator.home}"
