"""``gyrus rollback``"""

from __future__ import annotations

import click

from gyrus.cli.progress import finish_rollout
from gyrus.cli.session import CliSession, Command, api_name, pass_session


@click.command("rollback", cls=Command)
@api_name()
@click.option("--to", type=click.IntRange(min=1), metavar="REVISION", help="See gyrus history NAME.")
@pass_session
def command(session: CliSession, name: str, to: int | None) -> None:
    """Bring back an earlier revision of the API named NAME.

    Without --to it is the one that was live before the present one.
    """
    finish_rollout(session, session.client().rollback(name, to))
