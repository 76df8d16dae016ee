"""The command ``gyrus get``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import click

from gyrus.cli.apis import HEADERS, listing, row
from gyrus.cli.failures import ended_by_ctrl_c
from gyrus.cli.output import is_terminal, print_json, print_json_line, print_note, print_result, safe, table
from gyrus.cli.session import CliSession, Command, api_name, pass_session
from gyrus.client.streams import Gone
from gyrus.contract.operator import ApiView


@click.command("get", cls=Command)
@api_name(required=False)
@click.option("-w", "--watch", is_flag=True, help="Follow changes until Ctrl-C.")
@pass_session
def command(session: CliSession, name: str | None, watch: bool) -> None:
    """List the APIs, or show the one named NAME."""
    if watch:
        with ended_by_ctrl_c():
            _watch(session, name)
    elif name is None:
        _list(session)
    else:
        api = session.client().api(name)
        print_json(api) if session.json else print_result(listing([api]))


def _list(session: CliSession) -> None:
    apis = session.client().apis()
    if session.json:
        print_json(apis)
    elif apis:
        print_result(listing(apis))
    else:
        print_note("Nothing is deployed. Start with: gyrus init, then gyrus deploy")


def _watch(session: CliSession, name: str | None) -> None:
    lists = session.client().watch_all() if name is None else _one(session, name)
    if session.json:
        for apis in lists:
            print_json_line(apis[0] if name and apis else apis)
    elif is_terminal(sys.stdout):
        _redraw(lists)
    else:
        _append(lists)


def _one(session: CliSession, name: str) -> Iterator[Sequence[ApiView]]:
    session.client().api(name)  # fails at once if the name is unknown
    for seen in session.client().watch(name):
        if isinstance(seen, Gone):
            print_note(f"{name} is deleted.")
            return
        yield [seen.api]


def _redraw(lists: Iterator[Sequence[ApiView]]) -> None:
    """Print each listing over the one before."""
    height = 0
    for apis in lists:
        text = listing(apis)
        up = f"\x1b[{height}A\x1b[J" if height else ""
        click.echo(up + safe(text))
        height = text.count("\n") + 1


def _append(lists: Iterator[Sequence[ApiView]]) -> None:
    """Print a row for each API that has changed."""
    last: dict[str, ApiView] = {}
    for apis in lists:
        changed = [api for api in apis if last.get(api.name) != api]
        if changed:
            text = table(HEADERS, [row(api) for api in changed])
            print_result(text if not last else text.partition("\n")[2])
        last = {api.name: api for api in apis}
