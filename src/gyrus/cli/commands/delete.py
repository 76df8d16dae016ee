"""``gyrus delete``"""

from __future__ import annotations

import click

from gyrus.cli.asking import confirm
from gyrus.cli.failures import Interrupted
from gyrus.cli.output import tell, tell_json
from gyrus.cli.session import Command, Session, api_name, pass_session
from gyrus.cli.waiting import Waiting
from gyrus.client.client import Client
from gyrus.client.watching import Gone
from gyrus.contract.operator import ApiDescription


@click.command("delete", cls=Command)
@api_name()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def command(session: Session, name: str, yes: bool) -> None:
    """Drain and remove the API named NAME, with its revisions and logs."""
    client = session.client()
    api = client.api(name)
    confirm(f"Delete {name} ({api.status}, revision {api.revision})?", yes=yes)
    client.delete(name)
    try:
        with Waiting(f"Draining {name}") as waiting:
            _await_gone(client, name, waiting)
    except KeyboardInterrupt:
        message = f"Interrupted. The removal of {name} goes on."
        raise Interrupted(message, remedy="Watch it with: gyrus get") from None
    tell_json({"name": name, "deleted": True}) if session.json else tell(f"{name} is deleted.")


def _await_gone(client: Client, name: str, waiting: Waiting) -> None:
    for seen in client.watch(name):
        if isinstance(seen, Gone):
            return
        waiting.tick(f"Draining {name}: {_replicas_left(seen)}")


def _replicas_left(description: ApiDescription) -> str:
    count = len(description.replicas)
    return "1 replica left" if count == 1 else f"{count} replicas left"
