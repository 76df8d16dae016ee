"""The command ``gyrus delete``."""

from __future__ import annotations

import click

from gyrus.cli.failures import Interrupted
from gyrus.cli.output import print_json, print_result
from gyrus.cli.prompts import confirm
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.cli.spinner import Spinner
from gyrus.client.client import Client
from gyrus.client.streams import Gone
from gyrus.contract.operator import ApiDescription, ApiView


@click.command("delete", cls=Command)
@api_name(nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@pass_session
def command(session: CliSession, name: tuple[str, ...], yes: bool) -> None:
    """Drain and remove the APIs named NAME, with their revisions and logs."""
    client = session.client()
    names = tuple(dict.fromkeys(name))
    confirm(f"Delete {_description([client.api(each) for each in names])}?", yes=yes)
    for each in names:
        client.delete(each)
    try:
        with Spinner(f"Draining {', '.join(names)}") as waiting:
            _await_gone(client, names, waiting)
    except KeyboardInterrupt:
        message = f"Interrupted. The removal of {', '.join(names)} continues."
        raise Interrupted(message, remedy="Watch it with: gyrus get") from None
    if session.json:
        gone = [{"name": each, "deleted": True} for each in names]
        print_json(gone[0] if len(gone) == 1 else gone)
    else:
        print_result(f"{names[0]} is deleted." if len(names) == 1 else f"{len(names)} APIs are deleted.")


def _description(apis: list[ApiView]) -> str:
    return ", ".join(f"{api.name} ({api.status}, revision {api.revision})" for api in apis)


def _await_gone(client: Client, names: tuple[str, ...], waiting: Spinner) -> None:
    pending = set(names)
    for seen in client.watch(*names):
        if isinstance(seen, Gone):
            pending.discard(seen.name)
            if not pending:
                return
        elif len(names) == 1:
            waiting.tick(f"Draining {seen.api.name}: {_replicas_left(seen)}")
        else:
            waiting.tick(f"Draining {len(pending)} APIs")


def _replicas_left(description: ApiDescription) -> str:
    count = len(description.replicas)
    return "1 replica left" if count == 1 else f"{count} replicas left"
