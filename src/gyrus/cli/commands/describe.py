"""The command ``gyrus describe``."""

from __future__ import annotations

import click

from gyrus.cli.description import described, masked
from gyrus.cli.output import print_json, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session


@click.command("describe", cls=Command)
@api_name()
@click.option("--show-env", is_flag=True, help="Show the values of environment variables (default: masked).")
@pass_session
def command(session: CliSession, name: str, show_env: bool) -> None:
    """Show everything about the API named NAME: its replicas, their failures, and the reasons."""
    description = session.client().describe(name)
    if not show_env:
        description = masked(description)
    print_json(description) if session.json else print_result(described(description))
