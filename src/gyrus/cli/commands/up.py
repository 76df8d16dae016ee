"""The command ``gyrus up``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gyrus.cli.capacity import OVERCOMMITTED
from gyrus.cli.failures import CommandFailure, WrongInput
from gyrus.cli.money import usd
from gyrus.cli.option_types import HOST, PRICE, SIZE
from gyrus.cli.output import bold, print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cli.local import PlatformSettings
    from gyrus.client.environments import OperatorFile

PORT = click.IntRange(1, 65535)


@click.command("up", cls=Command)
@click.option(
    "--gateway-port", type=PORT, metavar="PORT", help="Port of the APIs (default: 8080, or as last started)."
)
@click.option(
    "--operator-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help="Serve the operator's API on this port too, with TLS and a token; 0: on no port "
    "(default: 0, or as last started).",
)
@click.option(
    "--overcommit/--no-overcommit",
    default=None,
    help="Start replicas even if their total CPU and memory exceed this machine's "
    "(default: off, or as last started).",
)
@click.option(
    "--max-package",
    type=SIZE,
    metavar="SIZE",
    help="Largest package of a deploy, such as 4Gi (default: 1Gi, or as last started).",
)
@click.option(
    "--host",
    "hosts",
    type=HOST,
    multiple=True,
    metavar="NAME",
    help="Answer requests to this host too, besides localhost; repeat it for several. '' removes all "
    "(default: none, or as last started).",
)
@click.option(
    "--price",
    type=PRICE,
    metavar="USD",
    help="Price of this machine per hour in US dollars, for gyrus cost; 0: unknown "
    "(default: unknown, or as last started).",
)
@click.option(
    "--new-database",
    is_flag=True,
    help="Begin with an empty database in place of a lost one. This ends all replicas.",
)
@click.option("--foreground", is_flag=True, help="Stay in this terminal and log to it, until stopped.")
@pass_session
def command(
    session: CliSession,
    gateway_port: int | None,
    operator_port: int | None,
    overcommit: bool | None,
    max_package: int | None,
    hosts: tuple[str, ...],
    price: float | None,
    new_database: bool,
    foreground: bool,
) -> None:
    """Start this machine's platform.

    Earlier deployments come back. All data is in $GYRUS_HOME (default: ~/.gyrus).
    """
    from gyrus.cli import local

    if session.names_another_operator():
        raise WrongInput(
            f"gyrus up starts this machine's platform, and -e {session.environment} names another operator.",
            remedy="Leave out -e. To put gyrus on a cluster, run: gyrus cluster install",
        )
    local.check_system()
    operator = local.running(session.home)
    remembered = local.remembered(session.home)
    now = _settings_of(operator, remembered) if operator else remembered
    if operator and operator.socket is None:
        print_note(f"Replacing the operator of an earlier gyrus (process {operator.pid})")
        local.end(operator)
        operator = None
    if operator is None:
        settings = local.choose(now, gateway_port, operator_port, overcommit, max_package, hosts, price)
        if foreground:
            _become_operator(session, settings, new_database=new_database)
        print_note("Starting the local platform")
        local.start(session.home, settings, new_database=new_database)
        _show(session, settings, "The local platform is up.")
        return
    if new_database:
        raise CommandFailure(
            "The local platform is up, with its database.", remedy="Stop it first: gyrus down"
        )
    _check_same(now, local.altered(now, gateway_port, operator_port, overcommit, max_package, hosts, price))
    _show(session, now, "The local platform is up already.")


def _settings_of(operator: OperatorFile, remembered: PlatformSettings) -> PlatformSettings:
    """Return the settings of a running operator. An earlier gyrus always had a port; it counts as none."""
    from gyrus.cli.local import PlatformSettings

    port = operator.operator_port if operator.socket else None
    return PlatformSettings(
        operator.gateway_port,
        port,
        operator.overcommit,
        remembered.max_package,
        operator.hosts,
        remembered.price,
    )


def _check_same(now: PlatformSettings, wanted: PlatformSettings) -> None:
    """Check that the running platform has the requested settings. Raises CommandFailure."""
    remedy = "Stop it first: gyrus down"
    if wanted.gateway != now.gateway:
        message = f"The local platform is up with gateway port {now.gateway}, not {wanted.gateway}."
        raise CommandFailure(message, remedy=remedy)
    if wanted.operator_port != now.operator_port:
        has = f"with operator port {now.operator_port}" if now.operator_port else "without an operator port"
        raise CommandFailure(f"The local platform is up {has}.", remedy=remedy)
    if wanted.max_package != now.max_package:
        message = f"The local platform is up with packages of at most {now.max_package:,} bytes."
        raise CommandFailure(message, remedy=remedy)
    if wanted.hosts != now.hosts:
        raise CommandFailure(
            f"The local platform is up with other hosts: {', '.join(now.hosts) or 'none'}.", remedy=remedy
        )
    if wanted.price != now.price:
        has = "without a price" if now.price is None else f"at {usd(now.price)} an hour"
        raise CommandFailure(f"The local platform is up {has}.", remedy=remedy)
    if wanted != now:
        how = "with" if now.overcommit else "without"
        raise CommandFailure(f"The local platform is up {how} --overcommit.", remedy=remedy)


def _show(session: CliSession, settings: PlatformSettings, message: str) -> None:
    gateway, home = f"http://127.0.0.1:{settings.gateway}", session.home
    port = settings.operator_port
    operator = f"https://127.0.0.1:{port}" if port else None
    if session.json:
        addresses = {"gateway": gateway, "operator": operator, "socket": str(home.control_socket)}
        settled = {"overcommit": settings.overcommit, "hosts": settings.hosts, "price": settings.price}
        print_json({**addresses, "home": str(home.root), **settled})
        return
    print_result(message)
    print_result(f"  endpoints  {bold(gateway + '/<name>')}")
    if settings.hosts:
        print_result(f"  hosts      {', '.join(settings.hosts)}")
    if operator:
        print_result(f"  operator   {operator}, certificate {home.certificate}, token {home.token}")
    print_result(f"  home       {home.root}")
    if settings.price is not None:
        print_result(f"  price      {usd(settings.price)} an hour; see gyrus cost")
    if settings.overcommit:
        print_result(f"  machine    {OVERCOMMITTED}")


def _become_operator(session: CliSession, settings: PlatformSettings, *, new_database: bool) -> None:
    """Replace this process by the operator, so that a service manager supervises the operator itself."""
    from gyrus.cli import local

    local.prepare(session.home)
    local.remember(session.home, settings)
    print_note(f"The local platform's endpoints: http://127.0.0.1:{settings.gateway}/<name>")
    if settings.overcommit:
        print_note(f"The machine: {OVERCOMMITTED}")
    print_note("Ctrl-C stops it.")
    arguments = [*local.command(session.home, settings, new_database=new_database), "--foreground"]
    os.execv(arguments[0], arguments)
