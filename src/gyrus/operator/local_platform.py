"""The parts of an operator on one machine: processes, one Envoy, a folder of packages."""

from __future__ import annotations

from functools import partial

from gyrus.aio.clock import SystemClock
from gyrus.backends.local.backend import LocalBackend
from gyrus.backends.local.settings import LocalSettings
from gyrus.gate.activator import Activator
from gyrus.objects.models import resolve_models
from gyrus.objects.opening import open_objects
from gyrus.operator.certificate import tls_of
from gyrus.operator.file_limit import hold_limits
from gyrus.operator.machine_prices import LOCAL_REMEDY
from gyrus.operator.platform import OperatorSettings, Platform
from gyrus.operator.secret_file import new_token, remove_token, requeue_secret_of
from gyrus.packaging.store import PackageStore
from gyrus.routing.local_gateway import LocalGateway
from gyrus.routing.settings import GatewaySettings
from gyrus.server.listening import ApiListener, listen_in_home, listen_in_home_and, listen_on_port
from gyrus.state.board import Board

LOOPBACK = "127.0.0.1"


def local_platform(settings: OperatorSettings, board: Board) -> Platform:
    """Build the parts. Each start changes the token of the operator's port, if it has one."""
    home, clock = settings.home, SystemClock()
    packages = PackageStore(
        home.packages, home.projects, earlier=home.earlier_projects, limit=settings.max_package
    )
    packages.clean_up()
    secret = requeue_secret_of(home)
    gateway_settings = GatewaySettings(
        port=settings.gateway_port, hosts=settings.hosts, requeue_secret=secret
    )
    return Platform(
        backend=LocalBackend(home, packages, clock, LocalSettings(overcommit=settings.overcommit)),
        gateway=LocalGateway(board, home, gateway_settings),
        activator=Activator(board, home.activator_socket, clock, hold_limits(), requeue_secret=secret),
        packages=packages,
        models=partial(resolve_models, open_store=open_objects),
        gateway_url=lambda: f"http://{LOOPBACK}:{settings.gateway_port}",
        token=_token(settings),
        token_place="",
        listen=partial(_listen, settings),
        load=packages.load,
        price_remedy=LOCAL_REMEDY,
    )


def _listen(settings: OperatorSettings) -> list[ApiListener]:
    """Listen on the home's socket, and on the port if one is requested. Raises CannotListen."""
    home, port = settings.home, settings.operator_port
    if port is None:
        return [listen_in_home(home.control_socket)]
    return listen_in_home_and(home.control_socket, lambda: listen_on_port(LOOPBACK, port, tls_of(home)))


def _token(settings: OperatorSettings) -> str | None:
    """Return a new token for the operator's port. Returns None if there is no port."""
    if settings.operator_port is None:
        remove_token(settings.home)
        return None
    return new_token(settings.home)
