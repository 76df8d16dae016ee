"""The command ``gyrus rollback``."""

from __future__ import annotations

import click

from gyrus.cli.progress import finish_rollout
from gyrus.cli.session import CliSession, Command, api_name, pass_session


@click.command("rollback", cls=Command)
@api_name()
@click.option(
    "--to", type=click.IntRange(min=1), metavar="REVISION", help="A revision that gyrus history NAME shows."
)
@pass_session
def command(session: CliSession, name: str, to: int | None) -> None:
    """Roll the API named NAME back to an earlier revision.

    Without --to, this is the revision that was live before the present one.
    """
    finish_rollout(session, session.client().rollback(name, to))
