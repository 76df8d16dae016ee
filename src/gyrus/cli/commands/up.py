"""The command ``gyrus up``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gyrus.cli.capacity import OVERCOMMITTED
from gyrus.cli.failures import CommandFailure
from gyrus.cli.option_types import HOST, SIZE
from gyrus.cli.output import bold, print_json, print_note, print_result
from gyrus.cli.session import CliSession, Command, pass_session

if TYPE_CHECKING:
    from gyrus.cli.local import PlatformSettings

PORT = click.IntRange(1, 65535)


@click.command("up", cls=Command)
@click.option(
    "--gateway-port", type=PORT, metavar="PORT", help="Port of the APIs (default: 8080, or as last started)."
)
@click.option(
    "--operator-port",
    type=PORT,
    metavar="PORT",
    help="Port of the operator (default: 8079, or as last started).",
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
@click.option("--foreground", is_flag=True, help="Stay in this terminal and log to it, until stopped.")
@pass_session
def command(
    session: CliSession,
    gateway_port: int | None,
    operator_port: int | None,
    overcommit: bool | None,
    max_package: int | None,
    hosts: tuple[str, ...],
    foreground: bool,
) -> None:
    """Start this machine's platform.

    Earlier deployments come back. All data is in $GYRUS_HOME (default: ~/.gyrus).
    """
    from gyrus.cli import local

    local.check_system()
    operator = local.running(session.home)
    if operator is None:
        settings = local.choose(session.home, gateway_port, operator_port, overcommit, max_package, hosts)
        if foreground:
            _become_operator(session, settings)
        print_note("Starting the local platform")
        local.start(session.home, settings)
        _show(session, settings, "The local platform is up.")
        return
    largest = local.choose(session.home).max_package
    now = local.PlatformSettings(
        operator.gateway_port, operator.operator_port, operator.overcommit, largest, operator.hosts
    )
    _check_same(now, local.altered(now, gateway_port, operator_port, overcommit, max_package, hosts))
    _show(session, now, "The local platform is up already.")


def _check_same(now: PlatformSettings, wanted: PlatformSettings) -> None:
    """Check that the running platform has the requested settings. Raises CommandFailure."""
    remedy = "Stop it first: gyrus down"
    if (wanted.gateway, wanted.operator) != (now.gateway, now.operator):
        ports = f"gateway {now.gateway}, operator {now.operator}"
        raise CommandFailure(f"The local platform is up on other ports: {ports}.", remedy=remedy)
    if wanted.max_package != now.max_package:
        message = f"The local platform is up with packages of at most {now.max_package:,} bytes."
        raise CommandFailure(message, remedy=remedy)
    if wanted.hosts != now.hosts:
        raise CommandFailure(
            f"The local platform is up with other hosts: {', '.join(now.hosts) or 'none'}.", remedy=remedy
        )
    if wanted != now:
        how = "with" if now.overcommit else "without"
        raise CommandFailure(f"The local platform is up {how} --overcommit.", remedy=remedy)


def _show(session: CliSession, settings: PlatformSettings, message: str) -> None:
    gateway, operator = (f"http://127.0.0.1:{port}" for port in (settings.gateway, settings.operator))
    if session.json:
        addresses = {"gateway": gateway, "operator": operator, "home": str(session.home.root)}
        print_json({**addresses, "overcommit": settings.overcommit, "hosts": settings.hosts})
        return
    print_result(message)
    print_result(f"  endpoints  {bold(gateway + '/<name>')}")
    if settings.hosts:
        print_result(f"  hosts      {', '.join(settings.hosts)}")
    print_result(f"  operator   {operator}")
    print_result(f"  home       {session.home.root}")
    if settings.overcommit:
        print_result(f"  machine    {OVERCOMMITTED}")


def _become_operator(session: CliSession, settings: PlatformSettings) -> None:
    """Replace this process by the operator, so that a service manager supervises the operator itself."""
    from gyrus.cli import local

    local.remember(session.home, settings)
    print_note(f"The local platform's endpoints: http://127.0.0.1:{settings.gateway}/<name>")
    if settings.overcommit:
        print_note(f"The machine: {OVERCOMMITTED}")
    print_note("Ctrl-C stops it.")
    arguments = [*local.command(session.home, settings), "--foreground"]
    os.execv(arguments[0], arguments)
