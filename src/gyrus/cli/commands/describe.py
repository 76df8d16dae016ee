"""The command ``gyrus describe``."""

from __future__ import annotations

import click

from gyrus.cli.costs import cost_of
from gyrus.cli.description import described, masked
from gyrus.cli.output import print_json, print_result
from gyrus.cli.session import CliSession, Command, api_name, pass_session


@click.command("describe", cls=Command)
@api_name()
@click.option("--show-env", is_flag=True, help="Show the values of environment variables (default: masked).")
@pass_session
def command(session: CliSession, name: str, show_env: bool) -> None:
    """Show everything about the API named NAME: its replicas, their failures, and the reasons."""
    client = session.client()
    description = client.describe(name)
    if not show_env:
        description = masked(description)
    if session.json:
        print_json(description)
        return
    known = description.api.cost_per_hour is not None
    print_result(described(description, cost=cost_of(name, client.costs()) if known else None))
