"""The command ``gyrus token``."""

from __future__ import annotations

import click

from gyrus.cli.output import age, bold, print_json, print_note, print_result, table
from gyrus.cli.session import CliSession, Command, global_options, pass_session
from gyrus.contract.visible import shown

HEADERS = ("NAME", "RIGHTS", "CREATED", "BY")


@click.group("token", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def command(context: click.Context) -> None:
    """Manage the tokens with which clients use the operator's port. Without a command, list them.

    The platform's first token, admin, is not listed. Commands on the operator's own machine need no token.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_tokens)


command.params += global_options()


@command.command("create", cls=Command)
@click.argument("name")
@click.option("--read-only", is_flag=True, help="The token may read everything, and change nothing.")
@pass_session
def create(session: CliSession, name: str, read_only: bool) -> None:
    """Create the token NAME, and print it. It is not stored, so that it cannot be shown again."""
    created = session.client().create_token(name, read_only=read_only)
    if session.json:
        print_json(created)
        return
    print_result(created.token)
    rights = "may read everything, and change nothing" if read_only else "may do everything"
    print_note(f"The token {bold(name)} {rights}. Keep it now: it is not shown again.")
    print_note("Use it with: gyrus env add NAME --url URL --token TOKEN")


@command.command("list", cls=Command)
@pass_session
def list_tokens(session: CliSession) -> None:
    """List the tokens that are not revoked."""
    tokens = session.client().tokens()
    if session.json:
        print_json(tokens)
        return
    rows = [
        (
            bold(token.name),
            "read only" if token.read_only else "all",
            f"{age(token.created_at)} ago",
            token.created_by,
        )
        for token in shown(tokens)
    ]
    print_result(table(HEADERS, rows) if rows else "There is no named token.")


@command.command("revoke", cls=Command)
@click.argument("name")
@pass_session
def revoke(session: CliSession, name: str) -> None:
    """Revoke the token NAME at once. Requests and streams that use it end."""
    session.client().revoke_token(name)
    if session.json:
        print_json({"revoked": name})
        return
    print_result(f"The token {name} is revoked.")
