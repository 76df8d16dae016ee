"""The command ``gyrus refresh``."""

from __future__ import annotations

import click

from gyrus.cli.progress import finish_rollout
from gyrus.cli.session import CliSession, Command, api_name, pass_session


@click.command("refresh", cls=Command)
@api_name()
@pass_session
def command(session: CliSession, name: str) -> None:
    """Replace the replicas of the API named NAME with new ones, without downtime."""
    finish_rollout(session, session.client().refresh(name))
