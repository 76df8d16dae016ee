"""The command ``gyrus env``."""

from __future__ import annotations

from pathlib import Path

import click

from gyrus.cli.failures import WrongInput
from gyrus.cli.output import bold, print_json, print_result, table
from gyrus.cli.session import CliSession, Command, global_options, pass_session
from gyrus.client.connections import REMEDY, is_safe, refusal
from gyrus.client.environments import LOCAL, EnvironmentEntry, Environments
from gyrus.contract.home import Home


@click.group("env", invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def command(context: click.Context) -> None:
    """Manage the operators that this command can use, by name. Without a command, list them.

    "local" is always one of them: this machine's platform.
    """
    if context.invoked_subcommand is None:
        context.invoke(list_environments)


command.params += global_options()


@command.command("list", cls=Command)
@pass_session
def list_environments(session: CliSession) -> None:
    """List the operators. A star marks the one in use."""
    known = Environments.load(session.home)
    used = known.choose(session.environment)
    urls = {name: _url(known, name, session.home) for name in known.names()}
    if session.json:
        print_json([{"name": name, "url": url, "in_use": name == used} for name, url in urls.items()])
        return
    rows = [("*" if name == used else "", bold(name), url or "this machine") for name, url in urls.items()]
    print_result(table(("", "NAME", "URL"), rows))


@command.command("add", cls=Command)
@click.argument("name")
@click.option("--url", required=True, help="The operator's URL: https://gyrus.example.com:8079")
@click.option("--token", help="The operator's token. It is stored in $GYRUS_HOME/environments.json.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file that contains the token.")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A copy of operator.crt in the operator's GYRUS_HOME: the only certificate to accept "
    "(default: any for that host that this system trusts).",
)
@click.option(
    "--authority",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with the authority of an installation on Kubernetes (ca.crt of the Secret "
    "gyrus-operator-tls): all its certificates for the operator are accepted.",
)
@click.option(
    "--endpoint-authority",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with an authority of the endpoints' certificate, beside those that this system trusts.",
)
@pass_session
def add(
    session: CliSession,
    name: str,
    url: str,
    token: str | None,
    token_file: Path | None,
    certificate: Path | None,
    authority: Path | None,
    endpoint_authority: Path | None,
) -> None:
    """Add the operator NAME, or change it."""
    if name == LOCAL:
        raise WrongInput(f"{LOCAL} is always this machine's platform.", remedy="Choose another name.")
    if not is_safe(url):
        raise WrongInput(refusal(url), remedy=REMEDY)
    if (token is None) == (token_file is None):
        raise WrongInput("Exactly one of --token and --token-file is required.")
    if certificate and authority:
        raise WrongInput("At most one of --certificate and --authority is allowed.")
    entry = EnvironmentEntry(
        url=url.rstrip("/"),
        token=token,
        token_file=_absolute(token_file),
        certificate=_absolute(certificate),
        authority=_absolute(authority),
        endpoint_authority=_absolute(endpoint_authority),
    )
    Environments.load(session.home).added(name, entry).save(session.home)
    print_result(
        f"{name} is {entry.url}. Use it once with -e {name}, or by default with: gyrus env use {name}"
    )


@command.command("use", cls=Command)
@click.argument("name")
@pass_session
def use(session: CliSession, name: str) -> None:
    """Use the operator NAME by default."""
    Environments.load(session.home).using(name).save(session.home)
    print_result(f"{name} is in use.")


@command.command("remove", cls=Command)
@click.argument("name")
@pass_session
def remove(session: CliSession, name: str) -> None:
    """Remove the operator NAME from the list. The operator itself does not change."""
    if name == LOCAL:
        raise WrongInput(f"{LOCAL} is always this machine's platform.", remedy="Stop it with: gyrus down")
    Environments.load(session.home).removed(name).save(session.home)
    print_result(f"{name} is removed.")


def _absolute(file: Path | None) -> str | None:
    return str(file.absolute()) if file else None


def _url(known: Environments, name: str, home: Home) -> str | None:
    if name != LOCAL:
        return known.entries[name].url
    from gyrus.client.environments import local_environment
    from gyrus.client.errors import ClientError

    try:
        return local_environment(home).url
    except ClientError:
        return None
